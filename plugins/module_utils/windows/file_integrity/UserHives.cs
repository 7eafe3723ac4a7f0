// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.UserHives
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryData;

    /// <summary>A profile of this host whose hive is not loaded.</summary>
    public sealed class UnloadedHive
    {
        /// <summary>The account's SID; empty for the profile that each new account gets.</summary>
        public string Sid;

        /// <summary>The profile's directory as the registry names it, empty when it does not.</summary>
        public string Profile;
    }

    /// <summary>The hives of accounts: HKU\SID exists while one is signed in or a service runs as it.</summary>
    public static class UserHives
    {
        /// <summary>What coverage calls all hives together.</summary>
        public const string Subject = "HKU";

        private const string Profiles = @"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";

        /// <summary>
        /// Return the profiles whose hive is not loaded, and an NTSTATUS that is not 0 when the list of profiles or
        /// the loaded hives cannot be read.
        /// </summary>
        public static uint FindUnloaded(IRegistry registry, out List<UnloadedHive> unloaded)
        {
            unloaded = new List<UnloadedHive>();
            HashSet<string> loaded = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
            IRegistryKey users;
            uint status = registry.OpenRoot("HKU", out users);
            if (status != RegistryStatus.Success)
            {
                return status;
            }
            using (users)
            {
                foreach (string name in Names(users))
                {
                    loaded.Add(name);
                }
            }
            IRegistryKey machine;
            status = registry.OpenRoot("HKLM", out machine);
            if (status != RegistryStatus.Success)
            {
                return status;
            }
            IRegistryKey profiles;
            using (machine)
            {
                status = machine.Open(Profiles, true, out profiles);
            }
            if (status != RegistryStatus.Success)
            {
                return RegistryStatus.IsAbsent(status) ? RegistryStatus.Success : status;
            }
            using (profiles)
            {
                unloaded.Add(new UnloadedHive { Sid = "", Profile = TextOf(profiles, "Default") });
                foreach (string name in Names(profiles))
                {
                    // A profile whose temporary copy is in use has a second key, SID.bak.
                    if (name.StartsWith("S-1-", StringComparison.Ordinal) && !loaded.Contains(name) &&
                        name.IndexOf('.') < 0)
                    {
                        unloaded.Add(new UnloadedHive { Sid = name, Profile = ProfileOf(profiles, name) });
                    }
                }
            }
            return RegistryStatus.Success;
        }

        private static IEnumerable<string> Names(IRegistryKey key)
        {
            string name;
            for (int index = 0; key.Subkey(index, out name) == RegistryStatus.Success; index++)
            {
                yield return name;
            }
        }

        private static string ProfileOf(IRegistryKey profiles, string name)
        {
            IRegistryKey profile;
            if (profiles.Open(name, false, out profile) != RegistryStatus.Success)
            {
                return "";
            }
            using (profile)
            {
                return TextOf(profile, "ProfileImagePath");
            }
        }

        private static string TextOf(IRegistryKey key, string name)
        {
            RegistryValue value;
            uint status = key.Find(name, out value);
            return status == RegistryStatus.Success ? RegistryData.Text(value.Data, value.Data.Length) : "";
        }

        /// <summary>Say whether a name below HKU is that of an account's hive, not one that a tool loaded.</summary>
        public static bool IsAccount(string name)
        {
            return name.StartsWith("S-1-", StringComparison.OrdinalIgnoreCase) ||
                name.Equals(".DEFAULT", StringComparison.OrdinalIgnoreCase);
        }
    }
}
