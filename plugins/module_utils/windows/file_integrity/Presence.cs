// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Presence
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiCollector;

    /// <summary>Says whether something that a run did not read is still there.</summary>
    public interface IPresence
    {
        /// <summary>Null where the host does not let this be known, as of an account that is signed out.</summary>
        bool? Exists(Entry entry);
    }

    /// <summary>Asks the file system, the registry and what was read of WMI.</summary>
    public sealed class HostPresence : IPresence
    {
        private readonly IFiles _files;
        private readonly IRegistry _registry;
        private readonly WmiCollector _wmi;

        public HostPresence(IFiles files, IRegistry registry, WmiCollector wmi)
        {
            _files = files;
            _registry = registry;
            _wmi = wmi;
        }

        public bool? Exists(Entry entry)
        {
            if (entry.Kind == EntryKinds.Wmi)
            {
                return _wmi.Exists(entry);
            }
            return entry.IsRegistry ? KeyOrValue(entry) : Node(entry);
        }

        private bool? Node(Entry entry)
        {
            IOpenFile file;
            int error = _files.Open(null, entry.Path, FileUse.Attributes, out file);
            using (file)
            {
                if (FileErrors.IsAbsent(error) && IsOnDrive(entry))
                {
                    return false;
                }
                return error == 0 ? (bool?)true : null;
            }
        }

        // A volume that is mounted in a directory, as a profile can be, goes with all that is in it.
        private bool IsOnDrive(Entry entry)
        {
            string id = entry.Text("file_id");
            IOpenFile root;
            if (id == null || _files.Open(null, entry.Path.Substring(0, 3), FileUse.Attributes, out root) != 0)
            {
                return true;
            }
            using (root)
            {
                FileFacts facts;
                return root.Query(out facts) != 0 || id.StartsWith(facts.VolumeText, StringComparison.Ordinal);
            }
        }

        private bool? KeyOrValue(Entry entry)
        {
            if (entry.Kind == EntryKinds.Key)
            {
                return Find(entry.Path, null);
            }
            string name = RegistryPattern.ValueName(RegistryPattern.NameOf(entry.Path));
            return Find(RegistryPattern.ParentOf(entry.Path), name);
        }

        private bool? Find(string path, string value)
        {
            string[] names = path.Split(new[] { '\\' }, 3);
            IRegistryKey key;
            uint status = _registry.OpenRoot(names[0], out key);
            for (int index = 1; index < names.Length && status == RegistryStatus.Success; index++)
            {
                using (IRegistryKey parent = key)
                {
                    status = parent.Open(names[index], false, out key);
                }
                if (index == 1 && names[0] == "HKU" && status != RegistryStatus.Success)
                {
                    // The hive of an account comes with its sign-in and goes with its sign-out.
                    return null;
                }
            }
            using (key)
            {
                RegistryValue unused;
                if (status == RegistryStatus.Success && value != null)
                {
                    status = key.Find(value, out unused);
                }
            }
            bool exists = status == RegistryStatus.Success || status == RegistryStatus.ValueTooLarge;
            return exists || RegistryStatus.IsAbsent(status) ? (bool?)exists : null;
        }
    }
}
