// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignatureJudge
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Judgement;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignatureReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignedLikes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>
    /// Alerts on programs whose signature does not hold although that of their like does, also on the first run.
    /// Programs whose like is unsigned as well, as tools of third parties often are, are never reported.
    /// </summary>
    public sealed class SignatureJudge : IJudge
    {
        /// <summary>The alert in the catalogue.</summary>
        public const string Alert = "fim_signature_mismatch";

        // T1554 Compromise Host Software Binary, T1036.001 Invalid Code Signature, T1036.005 Match Legitimate Name.
        private const string Compromised = "T1554";
        private const string InvalidSignature = "T1036.001";
        private const string Masquerading = "T1036.005";

        private const string Microsoft = "Microsoft Corporation";

        // SHA-1 thumbprints of the roots that sign Microsoft's own programs (Microsoft PKI repository): Root Authority,
        // Root Certificate Authority of 2001, 2010 and 2011, Identity Verification 2020.
        private static readonly HashSet<string> Roots = new HashSet<string>(StringComparer.OrdinalIgnoreCase)
        {
            "A43489159A520F0D93D032CCAF37E7FE20A8B419", "CDD4EEAE6000AC7F40C3802C171E30148030C072",
            "3B1EFD3A66EA28B16697394703A72CA340A05BD5", "8F43288AD272F3103B6FB1428485EA3014C0BCFE",
            "F40042E2E5F7E8EF8189FED15519AECE42C3BFA2"
        };

        // A directory says little by itself: a vendor's may have free libraries that nobody signed.
        private const int DirectoryAtLeast = 20;

        private readonly SignedLikes _likes;

        /// <summary>likes: has observed the programs of the watch before one of them is judged.</summary>
        public SignatureJudge(SignedLikes likes)
        {
            _likes = likes;
        }

        public Judgement JudgeChange(Change change, Watch watch)
        {
            if (change.After == null)
            {
                return null;
            }
            // Another change of a program that was accepted as it is says nothing of its signature.
            bool isProgram = change.Kind != ChangeKinds.Modified;
            foreach (string attribute in change.Attributes)
            {
                isProgram |= attribute == "content" || attribute == "sha256" || attribute == "signature";
            }
            return isProgram ? JudgeEntry(change.After, watch) : null;
        }

        public Judgement JudgeEntry(Entry entry, Watch watch)
        {
            string signature = entry.Kind == EntryKinds.File ? entry.Text("signature") : null;
            string root = entry.Text("signer_root");
            string organisation = entry.Text("signer_organisation") ?? entry.Text("signer");
            if (signature == SignatureWords.Valid && root != null && organisation == Microsoft && !Roots.Contains(root))
            {
                return Judgement.Raise(
                    Alert, "high", entry.Shown + " is signed in the name of " + Microsoft +
                    " by a certificate whose root " + root + " is none of Microsoft's, but is trusted by this host",
                    Compromised, InvalidSignature);
            }
            if (signature != SignatureWords.Invalid && signature != SignatureWords.None)
            {
                return null;
            }
            string path = entry.Shown;
            string problem = Problem(entry, signature);
            if (entry.Text("signature_status") == "content_changed")
            {
                return Judgement.Raise(
                    Alert, "high", path + " was changed after it was signed", Compromised, InvalidSignature);
            }
            SignedGroup group = _likes.OfWindows(entry);
            if (group != null && group.IsSigned)
            {
                string message = path + " belongs to Windows, whose programs are signed, and " + problem;
                return Judgement.Raise(Alert, "high", message, Compromised);
            }
            group = _likes.Company(entry);
            if (group != null && group.IsSigned)
            {
                string company = Printable.Show(group.Name);
                return Judgement.Raise(
                    Alert, "high", path + " says that it is made by " + company + ", whose " + Count(group) +
                    " other programs here are signed, and " + problem, Compromised, Masquerading);
            }
            string namesake = _likes.SignedNamesake(entry);
            if (namesake != null)
            {
                string signed = Printable.ShowPath(namesake);
                return Judgement.Raise(
                    Alert, "high", path + " has the name of the signed program " + signed + ", and " + problem,
                    Compromised, Masquerading);
            }
            group = _likes.Directory(entry);
            if (group != null && group.Signed >= DirectoryAtLeast && group.Signed >= DirectoryAtLeast * group.Unsigned)
            {
                string place = path + " is in a directory whose " + Count(group) + " other programs are signed, and ";
                return Judgement.Raise(Alert, "low", place + problem, Masquerading);
            }
            return null;
        }

        private static string Problem(Entry entry, string signature)
        {
            if (signature == SignatureWords.None)
            {
                return "it has no signature, neither its own nor in a catalogue";
            }
            string signer = entry.Text("signer");
            string by = signer == null ? "" : " by " + Printable.Show(signer);
            switch (entry.Text("signature_status"))
            {
                case "untrusted_root":
                    return "its signature" + by + " ends in a certificate that this host does not trust";
                case "revoked":
                case "distrusted":
                    return "its signature" + by + " is revoked";
                case "expired":
                    return "its signature" + by + " has expired";
                default:
                    return "its signature" + by + " does not verify (" + entry.Text("signature_status") + ")";
            }
        }

        private static string Count(SignedGroup group)
        {
            return group.Signed.ToString(CultureInfo.InvariantCulture);
        }
    }
}
