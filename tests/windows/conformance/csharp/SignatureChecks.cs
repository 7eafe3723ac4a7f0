// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.IO;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.SignatureChecks
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;

    /// <summary>Checks of Authenticode.</summary>
    public static class SignatureChecks
    {
        // winerror.h
        private const uint NoSignature = 0x800B0100;
        private const uint UnknownSubject = 0x800B0003;
        private const uint BadDigest = 0x80096010;

        public static Check[] All()
        {
            return new[]
            {
                new Check("signature_holds", "Authenticode.Embedded", "a library that Microsoft signed", Holds),
                new Check("signature_broken", "Authenticode.Embedded", "a copy with a byte changed", Broken),
                new Check("signature_missing", "Authenticode.Embedded", "a file that nobody signed", Missing),
                new Check("signature_signer", "Authenticode.Embedded", "Get-AuthenticodeSignature", Signer),
                new Check("catalogue_known", "Authenticode.Catalogue", "a file that no catalogue has", Known),
                new Check("catalogue_holds", "Authenticode.Catalogue", "Get-AuthenticodeSignature", Catalogue),
                new Check("catalogue_broken", "Authenticode.Catalogue", "a copy with a byte changed", CatalogueBroken)
            };
        }

        // Signed by Microsoft in itself, whatever PowerShell runs.
        private static string Library
        {
            get { return typeof(object).Assembly.Location; }
        }

        private static string Notepad
        {
            get { return Environment.SystemDirectory + @"\notepad.exe"; }
        }

        private static string Changed(Workspace workspace, string source)
        {
            string copy = workspace.Files + @"\changed-" + Path.GetFileName(source);
            byte[] content = File.ReadAllBytes(source);
            content[content.Length / 2] ^= 1;
            File.WriteAllBytes(copy, content);
            return copy;
        }

        private static string Unsigned(Workspace workspace)
        {
            string path = workspace.Files + @"\unsigned.txt";
            File.WriteAllText(path, "nobody signed " + workspace.Root);
            return path;
        }

        private static Verification Embedded(string path)
        {
            using (NativeAuthenticode authenticode = new NativeAuthenticode())
            using (IOpenFile file = Workspace.Open(path, FileUse.Content))
                return authenticode.Embedded(file, path);
        }

        private static Verification ByCatalogue(string path, out int error)
        {
            using (NativeAuthenticode authenticode = new NativeAuthenticode())
            using (IOpenFile file = Workspace.Open(path, FileUse.Content))
                return authenticode.Catalogue(file, path, () => true, out error);
        }

        private static string Shown(uint status)
        {
            return "0x" + status.ToString("X8");
        }

        private static void Holds(Workspace workspace, Evidence evidence)
        {
            Verification verification = Embedded(Library);
            evidence.Same("status", Shown(verification.Status), Shown(0));
            evidence.Same("organisation", verification.Organisation, "Microsoft Corporation");
        }

        private static void Broken(Workspace workspace, Evidence evidence)
        {
            evidence.Same("status", Shown(Embedded(Changed(workspace, Library)).Status), Shown(BadDigest));
        }

        private static void Missing(Workspace workspace, Evidence evidence)
        {
            Verification verification = Embedded(Unsigned(workspace));
            bool isUnsigned = verification.Status == NoSignature || verification.Status == UnknownSubject;
            evidence.Same(Shown(verification.Status) + " is unsigned", isUnsigned, true);
            evidence.Same("signer", verification.Signer, null);
        }

        private static void Signer(Workspace workspace, Evidence evidence)
        {
            Compare(Library, SecondWay.PowerShell(Signature(Library)), Embedded(Library), evidence);
        }

        private static string Signature(string path)
        {
            return "$s = Get-AuthenticodeSignature -LiteralPath '" + path.Replace("'", "''") + "';" +
                " [string]$s.SignatureType + ' ' + [string]$s.Status + ' ' + $s.SignerCertificate.Thumbprint";
        }

        private static void Compare(string path, string second, Verification verification, Evidence evidence)
        {
            string[] words = second.Split(' ');
            evidence.Same("holds", verification != null && verification.Status == 0, words[1] == "Valid");
            evidence.Same("thumbprint", verification == null ? null : verification.Thumbprint, words[2]);
            evidence.Same(Path.GetFileName(path) + " is " + words[0], words[1], "Valid");
        }

        private static void Known(Workspace workspace, Evidence evidence)
        {
            int error;
            Verification verification = ByCatalogue(Unsigned(workspace), out error);
            evidence.Same("error", error, 0);
            evidence.Same("no catalogue has it", verification == null, true);
        }

        private static void Catalogue(Workspace workspace, Evidence evidence)
        {
            int error;
            Compare(Notepad, NotepadSignature(), ByCatalogue(Notepad, out error), evidence);
        }

        private static string NotepadSignature()
        {
            string second = SecondWay.PowerShell(Signature(Notepad));
            if (!second.StartsWith("Catalog ", StringComparison.Ordinal))
                throw new NotPossibleException("notepad.exe has no catalogue here: " + second.Split(' ')[0]);
            return second;
        }

        private static void CatalogueBroken(Workspace workspace, Evidence evidence)
        {
            int error;
            NotepadSignature();
            evidence.Same("untouched", ByCatalogue(Notepad, out error) != null, true);
            evidence.Same("changed", ByCatalogue(Changed(workspace, Notepad), out error) != null, false);
        }
    }
}
