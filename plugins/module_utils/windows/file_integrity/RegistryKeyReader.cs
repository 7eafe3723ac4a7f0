// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryKeyReader
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryData;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.SecurityDescriptor;

    /// <summary>One key as it was read: all of it in one consistent look, or why that was not possible.</summary>
    public sealed class KeyContent
    {
        /// <summary>The key was deleted while it was read.</summary>
        public bool IsGone;

        /// <summary>Null when the key allows nobody to query it.</summary>
        public KeyInformation Information;

        /// <summary>Null when the descriptor cannot be read.</summary>
        public SecurityDescriptor Security;

        /// <summary>The target of a symbolic link key, null for others.</summary>
        public string Link;

        public readonly List<RegistryValue> Values = new List<RegistryValue>();
        public readonly List<string> Subkeys = new List<string>();

        /// <summary>Sentences for the coverage about what could not be read.</summary>
        public readonly List<string> Problems = new List<string>();
    }

    /// <summary>Reads keys, and again when one changes meanwhile. Not for use by several threads.</summary>
    public sealed class RegistryKeyReader
    {
        private const int Attempts = 3;

        // Descriptors repeat: a machine has a few hundred different ones for some hundred thousand keys.
        private const int LargestCache = 10000;

        private readonly Dictionary<string, SecurityDescriptor> _descriptors =
            new Dictionary<string, SecurityDescriptor>(StringComparer.Ordinal);

        /// <summary>Read a key, its values unless not wanted, and the names of its subkeys likewise.</summary>
        public KeyContent Read(IRegistryKey key, bool withSecurity, bool withValues, bool withSubkeys)
        {
            KeyContent content = null;
            for (int attempt = 0; attempt < Attempts; attempt++)
            {
                content = new KeyContent();
                if (ReadOnce(key, content, withSecurity, withValues, withSubkeys) || content.IsGone)
                {
                    return content;
                }
            }
            content.Problems.Add("it changed in each of " + Attempts + " attempts to read it; a value may be missing");
            return content;
        }

        private bool ReadOnce(IRegistryKey key, KeyContent content, bool security, bool values, bool subkeys)
        {
            uint status = key.Query(out content.Information);
            if (!Succeeded(status, content, "its values and subkeys"))
            {
                values = false;
                // Enumerating subkeys is a right of its own (KEY_ENUMERATE_SUB_KEYS).
                subkeys = subkeys && status == RegistryStatus.AccessDenied;
            }
            if (content.IsGone)
            {
                return false;
            }
            if (security)
            {
                ReadSecurity(key, content);
            }
            bool consistent = (!values || ReadValues(key, content)) && (!subkeys || ReadSubkeys(key, content));
            return consistent && !content.IsGone;
        }

        private static bool ReadValues(IRegistryKey key, KeyContent content)
        {
            // What is added after the count was read belongs to the next run.
            for (int index = 0; index < content.Information.Values; index++)
            {
                RegistryValue value;
                uint status = key.Value(index, out value);
                if (status == RegistryStatus.NoMoreEntries)
                {
                    return false;
                }
                if (status != RegistryStatus.ValueTooLarge && !Succeeded(status, content, "its values"))
                {
                    return true;
                }
                if (value.Type == RegistryLinks.ValueType && value.Data != null &&
                    string.Equals(value.Name, RegistryLinks.ValueName, StringComparison.OrdinalIgnoreCase))
                {
                    content.Link = RegistryData.Text(value.Data, value.Data.Length);
                }
                else
                {
                    content.Values.Add(value);
                }
            }
            return true;
        }

        private static bool ReadSubkeys(IRegistryKey key, KeyContent content)
        {
            for (int index = 0; content.Information == null || index < content.Information.Subkeys; index++)
            {
                string name;
                uint status = key.Subkey(index, out name);
                if (status == RegistryStatus.NoMoreEntries)
                {
                    return content.Information == null;
                }
                if (!Succeeded(status, content, "its subkeys"))
                {
                    return true;
                }
                content.Subkeys.Add(name);
            }
            return true;
        }

        private void ReadSecurity(IRegistryKey key, KeyContent content)
        {
            byte[] descriptor;
            if (!Succeeded(key.Security(out descriptor), content, "its owner and DACL"))
            {
                return;
            }
            string identity = Convert.ToBase64String(descriptor);
            if (_descriptors.TryGetValue(identity, out content.Security))
            {
                return;
            }
            try
            {
                content.Security = SecurityDescriptor.Parse(descriptor);
            }
            catch (FormatException error)
            {
                content.Problems.Add("its owner and DACL cannot be read: " + error.Message);
                return;
            }
            if (_descriptors.Count < LargestCache)
            {
                _descriptors[identity] = content.Security;
            }
        }

        private static bool Succeeded(uint status, KeyContent content, string part)
        {
            if (status == RegistryStatus.Success)
            {
                return true;
            }
            if (RegistryStatus.IsAbsent(status))
            {
                content.IsGone = true;
            }
            else
            {
                content.Problems.Add(part + " cannot be read: " + Describe(status));
            }
            return false;
        }

        /// <summary>Return an NTSTATUS as a clause for people.</summary>
        public static string Describe(uint status)
        {
            switch (status)
            {
                case RegistryStatus.AccessDenied:
                    return "access is denied";
                case RegistryStatus.RegistryCorrupt:
                    return "the registry is damaged there";
                case RegistryStatus.PredefinedHandle:
                    return "it stands for performance counters, which are no keys";
                default:
                    return "Windows returns the status 0x" + status.ToString("X8", CultureInfo.InvariantCulture);
            }
        }
    }
}
