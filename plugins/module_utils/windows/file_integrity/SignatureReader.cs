// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignatureReader
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Deadline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PortableExecutable;

    /// <summary>The values of an entry's attribute signature.</summary>
    public static class SignatureWords
    {
        /// <summary>The signature holds, and its chain ends in a certificate that this host trusts.</summary>
        public const string Valid = "valid";

        /// <summary>There is a signature and it does not verify; signature_status says why.</summary>
        public const string Invalid = "invalid";

        /// <summary>Neither the file nor a catalogue of this host has a signature for it.</summary>
        public const string None = "none";
    }

    /// <summary>What WinVerifyTrust returns (winerror.h).</summary>
    public static class TrustStatus
    {
        public const uint Trusted = 0;
        public const uint NoSignature = 0x800B0100;
        public const uint UnknownForm = 0x800B0003;
        public const uint UnknownProvider = 0x800B0001;
        public const uint BadDigest = 0x80096010;
        public const uint Revoked = 0x800B010C;
        public const uint ExplicitDistrust = 0x800B0111;
        public const uint Expired = 0x800B0101;
        public const uint UntrustedRoot = 0x800B0109;
        public const uint NoChain = 0x800B010A;

        /// <summary>Say whether the file has no signature of its own.</summary>
        public static bool IsUnsigned(uint status)
        {
            return status == NoSignature || status == UnknownForm || status == UnknownProvider;
        }

        /// <summary>Say whether a catalogue cannot make a file with this status of its own signature trusted.</summary>
        public static bool IsFinal(uint status)
        {
            return status == Trusted || status == BadDigest || status == Revoked || status == ExplicitDistrust;
        }

        /// <summary>Return a short name of a status.</summary>
        public static string Name(uint status)
        {
            switch (status)
            {
                case BadDigest:
                    return "content_changed";
                case Revoked:
                    return "revoked";
                case ExplicitDistrust:
                    return "distrusted";
                case Expired:
                    return "expired";
                case UntrustedRoot:
                    return "untrusted_root";
                case NoChain:
                    return "incomplete_chain";
                default:
                    return "0x" + status.ToString("x8", CultureInfo.InvariantCulture);
            }
        }
    }

    /// <summary>Reads signature and version information of programs.</summary>
    public sealed class SignatureReader
    {
        private readonly IAuthenticode _authenticode;

        public SignatureReader(IAuthenticode authenticode)
        {
            _authenticode = authenticode;
        }

        /// <summary>
        /// Add signature, signature_status, signer, signer_organisation, signer_thumbprint, signer_root and catalogue
        /// (bool), of programs also company, original_name and file_version, to attributes. Returns 0 or a Win32 error,
        /// without signature, where this host could not say; Cancelled after the deadline.
        /// </summary>
        public int Read(
            IOpenFile file, string path, bool isExecutable, Deadline deadline, Dictionary<string, object> attributes)
        {
            PortableExecutable program = isExecutable ? PortableExecutable.Parse(delegate(long position, byte[] buffer)
            {
                int count;
                return file.Read(position, buffer, out count) == 0 ? count : 0;
            }) : null;
            if (isExecutable && program == null)
            {
                // A program of DOS, which cannot be signed.
                return 0;
            }
            if (program != null)
            {
                Add(attributes, "company", program.Company);
                Add(attributes, "original_name", program.OriginalName);
                Add(attributes, "file_version", program.Version);
            }
            if (deadline.Passed)
            {
                return FileErrors.Cancelled;
            }
            Verification verification = program == null || program.HasSignature
                ? _authenticode.Embedded(file, path)
                : null;
            verification = verification != null && TrustStatus.IsUnsigned(verification.Status) ? null : verification;
            bool isCatalogue = false;
            int error = 0;
            if (verification == null || !TrustStatus.IsFinal(verification.Status))
            {
                // One of both that holds is enough for Windows: drivers keep a catalogue when their own has expired.
                Func<bool> mayGoOn = delegate { return !deadline.Passed; };
                Verification listed = _authenticode.Catalogue(file, path, mayGoOn, out error);
                isCatalogue = listed != null && !TrustStatus.IsUnsigned(listed.Status) &&
                    (verification == null || listed.Status == TrustStatus.Trusted);
                verification = isCatalogue ? listed : verification;
            }
            if (verification == null)
            {
                if (error == 0)
                {
                    attributes["signature"] = SignatureWords.None;
                }
                return error;
            }
            attributes["catalogue"] = isCatalogue;
            bool isTrusted = verification.Status == TrustStatus.Trusted;
            attributes["signature"] = isTrusted ? SignatureWords.Valid : SignatureWords.Invalid;
            if (!isTrusted)
            {
                attributes["signature_status"] = TrustStatus.Name(verification.Status);
            }
            Add(attributes, "signer", verification.Signer);
            Add(attributes, "signer_organisation", verification.Organisation);
            Add(attributes, "signer_thumbprint", verification.Thumbprint);
            Add(attributes, "signer_root", verification.Root);
            return 0;
        }

        private static void Add(Dictionary<string, object> attributes, string name, string value)
        {
            if (value != null)
            {
                attributes[name] = value;
            }
        }
    }
}
