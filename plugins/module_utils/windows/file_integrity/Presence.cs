// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Presence
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;

    /// <summary>Says whether something that a run did not read is still there.</summary>
    public interface IPresence
    {
        /// <summary>Null where the host does not let this be known.</summary>
        bool? Exists(Entry entry);
    }

    /// <summary>Asks the file system and the registry of this host.</summary>
    public sealed class HostPresence : IPresence
    {
        private readonly IRegistry _registry;

        public HostPresence(IRegistry registry)
        {
            _registry = registry;
        }

        public bool? Exists(Entry entry)
        {
            return entry.IsRegistry ? KeyOrValue(entry) : Node(entry.Path);
        }

        private static bool? Node(string path)
        {
            try
            {
                File.GetAttributes(path.StartsWith("\\\\", StringComparison.Ordinal) ? path : "\\\\?\\" + path);
                return true;
            }
            catch (FileNotFoundException)
            {
                return false;
            }
            catch (DirectoryNotFoundException)
            {
                return false;
            }
            catch (Exception error)
            {
                if (error is IOException || error is UnauthorizedAccessException || error is ArgumentException
                    || error is NotSupportedException)
                {
                    return null;
                }
                throw;
            }
        }

        // The name of a value can hold backslashes, so that only the registry knows where the key ends.
        private bool? KeyOrValue(Entry entry)
        {
            if (entry.Kind == EntryKinds.Key)
            {
                return Find(entry.Path, null);
            }
            bool? exists = false;
            for (int end = entry.Path.LastIndexOf('\\'); end > 0; end = entry.Path.LastIndexOf('\\', end - 1))
            {
                bool? here = Find(entry.Path.Substring(0, end), entry.Path.Substring(end + 1));
                if (here == true)
                {
                    return true;
                }
                exists = here == null ? null : exists;
            }
            return exists;
        }

        private bool? Find(string path, string value)
        {
            string[] names = path.Split(new[] { '\\' }, 2);
            IRegistryKey root;
            if (_registry.OpenRoot(names[0], out root) != RegistryStatus.Success)
            {
                return null;
            }
            using (root)
            {
                IRegistryKey opened = null;
                uint status = names.Length < 2 ? RegistryStatus.Success : root.Open(names[1], false, out opened);
                using (opened)
                {
                    if (status != RegistryStatus.Success)
                    {
                        return RegistryStatus.IsAbsent(status) ? (bool?)false : null;
                    }
                    return value == null ? true : HasValue(opened ?? root, value);
                }
            }
        }

        private static bool? HasValue(IRegistryKey key, string name)
        {
            RegistryValue value;
            uint status = key.Find(name == "(Default)" ? "" : name, out value);
            if (status == RegistryStatus.Success || status == RegistryStatus.ValueTooLarge)
            {
                return true;
            }
            return RegistryStatus.IsAbsent(status) ? (bool?)false : null;
        }
    }
}
