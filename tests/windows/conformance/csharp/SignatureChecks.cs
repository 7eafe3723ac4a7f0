// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.IO;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.SignatureChecks
{
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;

    /// <summary>Checks of Authenticode.</summary>
    public static class SignatureChecks
    {
        // winerror.h
        private const uint NoSignature = 0x800B0100;
        private const uint UnknownSubject = 0x800B0003;
        private const uint BadDigest = 0x80096010;

        [DllImport("kernel32.dll", CharSet = CharSet.Unicode)]
        private static extern uint GetCompressedFileSizeW(string path, out uint high);

        public static Check[] All()
        {
            return new[]
            {
                new Check("signature_holds", "Authenticode.Embedded", "a library that Microsoft signed", Holds),
                new Check("signature_broken", "Authenticode.Embedded", "a copy with a byte changed", Broken),
                new Check("signature_missing", "Authenticode.Embedded", "a file that nobody signed", Missing),
                new Check("signature_signer", "Authenticode.Embedded", "Get-AuthenticodeSignature", Signer),
                new Check("files_open_compressed", "Files.Open", "a library that compact.exe compressed", Compressed),
                new Check("catalogue_known", "Authenticode.Catalogue", "a file that no catalogue has", Known),
                new Check("catalogue_holds", "Authenticode.Catalogue", "Get-AuthenticodeSignature",
                    (workspace, evidence) => Catalogue(Notepad, evidence)),
                // Its reader begins where the file is read from.
                new Check("catalogue_script", "Authenticode.Catalogue", "Get-AuthenticodeSignature of a script",
                    (workspace, evidence) => Catalogue(Environment.SystemDirectory + @"\slmgr.vbs", evidence)),
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
            {
                int count;
                file.Read(0, new byte[64], out count);
                return authenticode.Catalogue(file, path, () => true, out error);
            }
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

        private static void Catalogue(string path, Evidence evidence)
        {
            int error;
            Compare(path, OfCatalogue(path), ByCatalogue(path, out error), evidence);
        }

        private static string OfCatalogue(string path)
        {
            string second = SecondWay.PowerShell(Signature(path)) ?? "None";
            if (!second.StartsWith("Catalog ", StringComparison.Ordinal))
                throw new NotPossibleException(path + " has no catalogue here: " + second.Split(' ')[0]);
            return second;
        }

        // CompactOS keeps programs like this: their data in a stream, behind a reparse point that is hidden.
        private static void Compressed(Workspace workspace, Evidence evidence)
        {
            string path = workspace.Files + @"\compressed.dll";
            File.Copy(Library, path);
            long size = new FileInfo(path).Length;
            SecondWay.Program("compact.exe", "/c /exe:lzx \"" + path + "\"");
            uint high;
            if (GetCompressedFileSizeW(path, out high) >= size)
                throw new NotPossibleException("this file system compresses no programs");
            NativeFiles files = new NativeFiles();
            IOpenFile file;
            using (IOpenFile opened = Workspace.Open(path, FileUse.Attributes))
                Workspace.Check(files.Open(opened, "", FileUse.Content, out file), path);
            using (file)
            using (IDigest digest = Digests.Sha256())
            using (HashAlgorithm second = SHA256.Create())
            using (NativeAuthenticode authenticode = new NativeAuthenticode())
            {
                FileFacts facts;
                Workspace.Check(file.Query(out facts), path);
                evidence.Same("size", facts.Size, size);
                evidence.Same("is a reparse point", (facts.Attributes & (uint)FileAttributes.ReparsePoint) != 0, false);
                byte[] buffer = new byte[65536];
                int count;
                for (long position = 0; file.Read(position, buffer, out count) == 0 && count > 0; position += count)
                    digest.Add(buffer, count);
                string original = BitConverter.ToString(second.ComputeHash(File.ReadAllBytes(Library)));
                evidence.Same("SHA-256", digest.Finish(), original.Replace("-", "").ToLowerInvariant());
                evidence.Same("signature", Shown(authenticode.Embedded(file, path).Status), Shown(0));
            }
        }

        private static void CatalogueBroken(Workspace workspace, Evidence evidence)
        {
            int error;
            OfCatalogue(Notepad);
            evidence.Same("untouched", ByCatalogue(Notepad, out error) != null, true);
            evidence.Same("changed", ByCatalogue(Changed(workspace, Notepad), out error) != null, false);
        }
    }
}
