// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryCollector
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Deadline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ICollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryWalk;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.UserHives;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>Reads the registry keys and values of a watch. Not for use by several threads.</summary>
    public sealed class RegistryCollector : ICollector, IDisposable
    {
        /// <summary>How many keys and values are read of one watch at most.</summary>
        public const int LargestWatch = 500000;

        private const int NamedHives = 20;

        private readonly IRegistry _registry;
        private readonly int _limit;
        private readonly KeyEntries _entries = new KeyEntries();
        private readonly RegistryKeyReader _reader = new RegistryKeyReader();
        private List<UnloadedHive> _unloaded;
        private uint _unloadedStatus;

        public RegistryCollector(IRegistry registry, int limit = LargestWatch)
        {
            _registry = registry;
            _limit = limit;
        }

        public void Collect(Watch watch, ScopeCoverage coverage, Deadline deadline, Action<Entry> emit)
        {
            RegistryWalk walk = new RegistryWalk(_reader, _entries, watch, coverage, deadline, emit, _limit);
            List<RegistryPattern> patterns = new List<RegistryPattern>();
            foreach (string text in watch.Registry)
            {
                patterns.Add(RegistryPattern.Parse(text));
            }
            // What only administrators write comes before what accounts can fill.
            List<RegistryPattern> ordered = patterns.FindAll(
                delegate(RegistryPattern pattern) { return pattern.Hive != "HKU"; });
            ordered.AddRange(patterns.FindAll(
                delegate(RegistryPattern pattern) { return pattern.Hive == "HKU"; }));
            foreach (RegistryPattern pattern in ordered)
            {
                if (walk.IsOver)
                {
                    walk.Leave(pattern.Text);
                    continue;
                }
                IRegistryKey root;
                uint status = _registry.OpenRoot(pattern.Hive, out root);
                if (status != RegistryStatus.Success)
                {
                    coverage.Skip(pattern.Hive, "it cannot be opened: " + RegistryKeyReader.Describe(status));
                    continue;
                }
                using (root)
                {
                    Expand(walk, coverage, root, pattern.Hive, pattern, 0);
                }
            }
            if (patterns.Exists(IsForEveryUser))
            {
                SkipUnloaded(coverage);
            }
        }

        public void Dispose()
        {
            _entries.Dispose();
        }

        private static bool IsForEveryUser(RegistryPattern pattern)
        {
            return pattern.Hive == "HKU" && pattern.Names.Length > 0 &&
                pattern.Names[0].StartsWith("*", StringComparison.Ordinal);
        }

        private void SkipUnloaded(ScopeCoverage coverage)
        {
            if (_unloaded == null)
            {
                _unloadedStatus = UserHives.FindUnloaded(_registry, out _unloaded);
            }
            if (_unloadedStatus != RegistryStatus.Success)
            {
                coverage.Skip("HKU", "which accounts are not signed in is not known: the list of profiles cannot be " +
                    "read, " + RegistryKeyReader.Describe(_unloadedStatus));
            }
            List<string> files = new List<string>();
            foreach (UnloadedHive hive in _unloaded)
            {
                string profile = hive.Profile.Length > 0 ? hive.Profile : hive.Sid;
                files.Add(Printable.ShowPath((profile.Length > 0 ? profile : "the default profile") + @"\NTUSER.DAT"));
            }
            if (files.Count > 0)
            {
                string more = files.Count > NamedHives ? " and " + (files.Count - NamedHives) + " more" : "";
                coverage.Skip(UserHives.Subject, "registry files of accounts that are not signed in, and of the " +
                    "default profile, are not loaded and were not read (" + files.Count + "): " + string.Join(
                        ", ", files.GetRange(0, Math.Min(files.Count, NamedHives)).ToArray()) + more);
            }
        }

        /// <summary>Open what a pattern names, name by name, and walk each key that it stands for.</summary>
        private static void Expand(
            RegistryWalk walk, ScopeCoverage coverage, IRegistryKey parent, string path, RegistryPattern pattern,
            int index)
        {
            if (index == pattern.Names.Length)
            {
                walk.Start(parent, path, pattern);
                return;
            }
            string glob = pattern.Names[index];
            if (!Glob.IsGlob(glob))
            {
                Enter(walk, coverage, parent, path, glob, pattern, index);
                return;
            }
            bool isHive = index == 0 && pattern.Hive == "HKU";
            foreach (string name in walk.Subkeys(parent, path))
            {
                if (index == 0)
                {
                    walk.Share(isHive);
                }
                if (walk.IsOver)
                {
                    walk.Leave(path);
                    return;
                }
                if (isHive && !UserHives.IsAccount(name))
                {
                    walk.Skip(path + "\\" + name, "a program loaded this registry file for a while: it is of no " +
                        "account that is signed in, and was not read");
                    continue;
                }
                if (Glob.Matches(glob, name) && !walk.IsExcluded(path + "\\" + name, name))
                {
                    Enter(walk, coverage, parent, path, name, pattern, index);
                }
            }
            if (index == 0)
            {
                walk.Share(false);
            }
        }

        private static void Enter(
            RegistryWalk walk, ScopeCoverage coverage, IRegistryKey parent, string path, string name,
            RegistryPattern pattern, int index)
        {
            string childPath = path + "\\" + name;
            bool isLast = index == pattern.Names.Length - 1;
            IRegistryKey child;
            uint status = parent.Open(name, false, out child);
            if (status != RegistryStatus.Success)
            {
                if (!RegistryStatus.IsAbsent(status))
                {
                    walk.Skip(childPath, "the key cannot be opened: " + RegistryKeyReader.Describe(status));
                }
                return;
            }
            using (child)
            {
                RegistryValue link;
                bool isLink = !isLast && child.Find(RegistryLinks.ValueName, out link) == RegistryStatus.Success &&
                    link.Type == RegistryLinks.ValueType;
                if (!isLink)
                {
                    Expand(walk, coverage, child, childPath, pattern, index + 1);
                    return;
                }
            }
            if (Follow(walk, parent, childPath, name, out child))
            {
                using (child)
                {
                    Expand(walk, coverage, child, childPath, pattern, index + 1);
                }
            }
        }

        /// <summary>Open the target of a link above a watched key if it is Windows' own; else record it.</summary>
        private static bool Follow(
            RegistryWalk walk, IRegistryKey parent, string path, string name, out IRegistryKey target)
        {
            IRegistryKey link;
            target = null;
            if (parent.Open(name, false, out link) != RegistryStatus.Success)
            {
                return false;
            }
            using (link)
            {
                string text = walk.LinkTarget(link);
                if (text == null || RegistryLinks.IsKnown(path, text))
                {
                    // S-1-5-18 is .DEFAULT under another name, which is read under its own.
                    return RegistryPattern.NameOf(path) != "S-1-5-18" &&
                        parent.Open(name, true, out target) == RegistryStatus.Success;
                }
                walk.Link(link, path);
                walk.Skip(path, "it is a symbolic link to " + Printable.ShowPath(text) + ", which is not followed");
                return false;
            }
        }
    }
}
