// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignedLikes
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SignatureReader;

    /// <summary>How many programs of a group have a signature that holds, and how many have none that does.</summary>
    public sealed class SignedGroup
    {
        /// <summary>As people read it.</summary>
        public readonly string Name;

        public int Signed;
        public int Unsigned;

        /// <summary>It is in the coverage already.</summary>
        public bool IsNoted;

        public SignedGroup(string name)
        {
            Name = name;
        }

        /// <summary>Say whether a signature is the rule: at least three, and three for each program without.</summary>
        public bool IsSigned
        {
            get { return Signed >= 3 && Signed >= 3 * Unsigned; }
        }

        /// <summary>Say whether programs without a signature are so many that one more is no sign.</summary>
        public bool IsMixed
        {
            get { return Signed >= 3 && !IsSigned; }
        }
    }

    /// <summary>
    /// Which programs belong together, and how many of each group are signed: those of a company by their version
    /// information, those that Windows' installer owns, those of a directory, and those of one name below Windows'
    /// directory. What a program says of itself only ever makes a missing signature worse.
    /// </summary>
    public sealed class SignedLikes
    {
        // NT SERVICE\TrustedInstaller, which owns what Windows brings: the same SID on every host.
        private const string Installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";

        private readonly Dictionary<string, SignedGroup> _companies =
            new Dictionary<string, SignedGroup>(StringComparer.OrdinalIgnoreCase);

        private readonly Dictionary<string, SignedGroup> _directories =
            new Dictionary<string, SignedGroup>(StringComparer.OrdinalIgnoreCase);

        private readonly Dictionary<string, string> _signedNames =
            new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

        private readonly SignedGroup _windows = new SignedGroup("Windows' installer");
        private readonly string _systemRoot;

        /// <summary>systemRoot: Windows' directory (C:\Windows).</summary>
        public SignedLikes(string systemRoot)
        {
            _systemRoot = (systemRoot ?? @"C:\Windows").TrimEnd('\\') + "\\";
        }

        /// <summary>Count a program; other entries do nothing. Each is to be given once.</summary>
        public void Observe(Entry entry)
        {
            string signature = entry.Kind == EntryKinds.File ? entry.Text("signature") : null;
            if (signature == null)
            {
                return;
            }
            bool isSigned = signature == SignatureWords.Valid;
            string company = entry.Text("company");
            string organisation = isSigned ? entry.Text("signer_organisation") : null;
            Count(company == null ? null : Group(_companies, company, company), isSigned);
            if (!string.Equals(company, organisation, StringComparison.OrdinalIgnoreCase))
            {
                Count(organisation == null ? null : Group(_companies, organisation, organisation), isSigned);
            }
            string directory = DirectoryOf(entry.Path);
            Count(Group(_directories, directory, directory), isSigned);
            if (entry.Text("owner") == Installer)
            {
                Count(_windows, isSigned);
            }
            if (isSigned && IsOfWindows(entry.Path))
            {
                _signedNames[NameOf(entry.Path)] = entry.Path;
            }
        }

        /// <summary>The programs of the company that an entry names; null where it names none.</summary>
        public SignedGroup Company(Entry entry)
        {
            SignedGroup group;
            string company = entry.Text("company");
            return company != null && _companies.TryGetValue(company, out group) ? group : null;
        }

        /// <summary>The programs in the directory of an entry; null where none was counted.</summary>
        public SignedGroup Directory(Entry entry)
        {
            SignedGroup group;
            return _directories.TryGetValue(DirectoryOf(entry.Path), out group) ? group : null;
        }

        /// <summary>The programs that Windows' installer owns; null where it does not own the entry.</summary>
        public SignedGroup OfWindows(Entry entry)
        {
            return entry.Text("owner") == Installer ? _windows : null;
        }

        /// <summary>The path of a signed program of this name below Windows' directory; null for none.</summary>
        public string SignedNamesake(Entry entry)
        {
            string path;
            return IsOfWindows(entry.Path) && _signedNames.TryGetValue(NameOf(entry.Path), out path) ? path : null;
        }

        /// <summary>Note the groups in which so many have no signature that no single one is reported.</summary>
        public void NoteMixed(ScopeCoverage coverage)
        {
            foreach (SignedGroup group in _companies.Values)
            {
                Note(group, coverage);
            }
            Note(_windows, coverage);
        }

        private static void Note(SignedGroup group, ScopeCoverage coverage)
        {
            if (group.IsMixed && !group.IsNoted)
            {
                group.IsNoted = true;
                coverage.Skip(
                    "signatures of " + Printable.Show(group.Name),
                    string.Format(
                        CultureInfo.InvariantCulture,
                        "{0} of its programs are signed and {1} are not, so that a missing signature is no sign",
                        group.Signed,
                        group.Unsigned));
            }
        }

        internal bool IsOfWindows(string path)
        {
            return path.StartsWith(_systemRoot, StringComparison.OrdinalIgnoreCase);
        }

        private static SignedGroup Group(Dictionary<string, SignedGroup> groups, string key, string name)
        {
            SignedGroup group;
            if (!groups.TryGetValue(key, out group))
            {
                group = new SignedGroup(name);
                groups.Add(key, group);
            }
            return group;
        }

        private static void Count(SignedGroup group, bool isSigned)
        {
            if (group != null && isSigned)
            {
                group.Signed++;
            }
            else if (group != null)
            {
                group.Unsigned++;
            }
        }

        private static string DirectoryOf(string path)
        {
            int end = path.LastIndexOf('\\');
            return end < 0 ? "" : path.Substring(0, end);
        }

        internal static string NameOf(string path)
        {
            return path.Substring(path.LastIndexOf('\\') + 1);
        }
    }
}
