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

        private const string Malware = "fim_malware";

        // T1554 Compromise Host Software Binary, T1036.001 Invalid Code Signature, T1036.005 Match Legitimate Name,
        // T1036.003 Rename System Utilities.
        private const string Compromised = "T1554";
        private const string InvalidSignature = "T1036.001";
        private const string Masquerading = "T1036.005";
        private const string RenamedTool = "T1036.003";

        internal const string Microsoft = "Microsoft Corporation";

        // Programs of Windows that run what they are told, by the names in their version information.
        private static readonly HashSet<string> Tools = new HashSet<string>(StringComparer.OrdinalIgnoreCase)
        {
            "cmd.exe", "powershell.exe", "explorer.exe", "taskmgr.exe", "mmc.exe", "regedit.exe", "wscript.exe",
            "cscript.exe", "mshta.exe", "rundll32.exe", "conhost.exe"
        };

        // A directory says little by itself: a vendor's may have free libraries that nobody signed.
        private const int DirectoryAtLeast = 20;

        private readonly SignedLikes _likes;
        private readonly ICollection<string> _roots;

        /// <summary>
        /// likes: has observed the programs of the watch before one of them is judged. roots: SHA-1 thumbprints of
        /// Microsoft's root certificates; empty where they are not known.
        /// </summary>
        public SignatureJudge(SignedLikes likes, ICollection<string> roots)
        {
            _likes = likes;
            _roots = roots;
        }

        public Judgement JudgeChange(Change change, Watch watch)
        {
            if (change.After == null)
            {
                return null;
            }
            string digest = change.After.Text("sha256");
            bool isSame = change.Before != null && digest != null && change.Before.Text("sha256") == digest;
            bool isLost = change.Before != null && change.Before.Text("signature") == SignatureWords.Valid &&
                change.After.Text("signature") != SignatureWords.Valid;
            if (isSame && isLost && !IsWithdrawn(change.After))
            {
                // A catalogue that is gone or not found says nothing of content that was signed.
                return null;
            }
            // Another change of a program that was accepted as it is says nothing of its signature.
            bool isProgram = change.Kind != ChangeKinds.Modified || change.After.Attributes.ContainsKey("malware");
            foreach (string attribute in change.Attributes)
            {
                isProgram |= attribute == "content" || attribute == "sha256" || attribute == "signature";
            }
            return isProgram ? JudgeEntry(change.After, watch) : null;
        }

        public Judgement JudgeEntry(Entry entry, Watch watch)
        {
            if (entry.Attributes.ContainsKey("malware"))
            {
                return Judgement.Raise(
                    Malware, "high", Printable.ShowPath(entry.Path) + " is malware for the antivirus program of this " +
                    "host, which lets nobody read it", "T1204.002");
            }
            string signature = entry.Kind == EntryKinds.File ? entry.Text("signature") : null;
            string root = entry.Text("signer_root");
            bool isMicrosoft = signature == SignatureWords.Valid &&
                (entry.Text("signer_organisation") ?? entry.Text("signer")) == Microsoft;
            if (isMicrosoft && root != null && _roots.Count > 0 && !_roots.Contains(root))
            {
                return Judgement.Raise(
                    Alert, "high", entry.Shown + " is signed in the name of " + Microsoft +
                    " by a certificate whose root " + root + " is none of Microsoft's, but is trusted by this host",
                    Compromised, InvalidSignature);
            }
            string original = isMicrosoft ? OriginalName(entry) : null;
            if (original != null && Tools.Contains(original) && _likes.IsOfWindows(entry.Path) &&
                !string.Equals(original, SignedLikes.NameOf(entry.Path), StringComparison.OrdinalIgnoreCase))
            {
                return Judgement.Raise(
                    watch.Alert ?? Alert, watch.Severity ?? "high", Printable.ShowPath(entry.Path) +
                    " is another program of Windows: its signed name is " + original, Compromised, RenamedTool);
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

        private static string OriginalName(Entry entry)
        {
            string name = entry.Text("original_name") ?? "";
            return name.EndsWith(".mui", StringComparison.OrdinalIgnoreCase) ? name.Substring(0, name.Length - 4) : name;
        }

        /// <summary>Say whether a signature does not hold for a reason that has to do with the program.</summary>
        internal static bool IsWithdrawn(Entry entry)
        {
            string status = entry.Text("signature_status");
            return status == "content_changed" || status == "revoked" || status == "distrusted";
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
