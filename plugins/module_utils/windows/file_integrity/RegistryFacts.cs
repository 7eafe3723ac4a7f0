// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PathSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.OrdinaryAccounts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;

    /// <summary>What a judgement of the registry needs beyond the entry. Null means that it is not known.</summary>
    public interface IRegistryFacts
    {
        /// <summary>The Windows directory, such as C:\Windows.</summary>
        string SystemRoot { get; }

        /// <summary>Replace %NAME% by the machine's variables.</summary>
        string Expand(string text);

        bool? HasKey(string path);

        bool? HasValue(string path, string name);

        /// <summary>The data of a value as it would be shown, null for none.</summary>
        string Data(string path, string name);

        /// <summary>The time of the last write of a key, in 100 ns since 1601.</summary>
        long? LastWrite(string path);

        bool? FileExists(string path);

        /// <summary>Ordinary accounts that may create files in a directory or write a file; empty for none.</summary>
        IList<string> Writers(string path);
    }

    /// <summary>The facts of this host.</summary>
    public sealed class HostRegistryFacts : IRegistryFacts
    {
        private readonly IRegistry _registry;
        private readonly IPathSecurity _files;
        private readonly string _systemRoot;

        /// <summary>systemRoot: the Windows directory, without a backslash at its end.</summary>
        public HostRegistryFacts(IRegistry registry, IPathSecurity files, string systemRoot)
        {
            _registry = registry;
            _files = files;
            _systemRoot = systemRoot;
        }

        public string SystemRoot
        {
            get { return _systemRoot; }
        }

        public string Expand(string text)
        {
            return Environment.ExpandEnvironmentVariables(text);
        }

        public bool? HasKey(string path)
        {
            IRegistryKey key;
            uint status = Open(path, out key);
            if (status == RegistryStatus.Success)
            {
                key.Dispose();
                return true;
            }
            return RegistryStatus.IsAbsent(status) ? (bool?)false : null;
        }

        public bool? HasValue(string path, string name)
        {
            RegistryValue value;
            uint status = Find(path, name, out value);
            if (status == RegistryStatus.Success || status == RegistryStatus.ValueTooLarge)
            {
                return true;
            }
            return RegistryStatus.IsAbsent(status) ? (bool?)false : null;
        }

        public string Data(string path, string name)
        {
            RegistryValue value;
            bool isRead = Find(path, name, out value) == RegistryStatus.Success;
            return isRead ? RegistryData.Show(value.Name, value.Type, value.Data) : null;
        }

        public long? LastWrite(string path)
        {
            IRegistryKey key;
            if (Open(path, out key) != RegistryStatus.Success)
            {
                return null;
            }
            using (key)
            {
                KeyInformation information;
                bool isRead = key.Query(out information) == RegistryStatus.Success;
                return isRead ? (long?)information.LastWrite : null;
            }
        }

        public bool? FileExists(string path)
        {
            byte[] descriptor;
            uint error = _files.Read(path, out descriptor);
            if (error == 0)
            {
                return true;
            }
            // ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND
            return error == 2 || error == 3 ? (bool?)false : null;
        }

        public IList<string> Writers(string path)
        {
            byte[] descriptor;
            if (_files.Read(path, out descriptor) != 0)
            {
                return null;
            }
            try
            {
                SecurityDescriptor parsed = SecurityDescriptor.Parse(descriptor);
                return parsed.HasDacl
                    ? OrdinaryAccounts.Among(parsed.Allowed, OrdinaryAccounts.FileWrite)
                    : new List<string> { "Everyone" };
            }
            catch (FormatException)
            {
                return null;
            }
        }

        private uint Find(string path, string name, out RegistryValue value)
        {
            value = null;
            IRegistryKey key;
            uint status = Open(path, out key);
            if (status != RegistryStatus.Success)
            {
                return status;
            }
            using (key)
            {
                return key.Find(name, out value);
            }
        }

        private uint Open(string path, out IRegistryKey key)
        {
            string[] parts = path.Split(new[] { '\\' }, 2);
            IRegistryKey root;
            uint status = _registry.OpenRoot(parts[0], out root);
            if (status != RegistryStatus.Success || parts.Length < 2)
            {
                key = root;
                return status;
            }
            using (root)
            {
                return root.Open(parts[1], true, out key);
            }
        }
    }
}
