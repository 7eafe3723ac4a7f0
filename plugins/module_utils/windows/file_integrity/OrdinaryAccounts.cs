// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.OrdinaryAccounts
{
    /// <summary>Which accounts that are no administrators may write, by a DACL.</summary>
    public static class OrdinaryAccounts
    {
        /// <summary>KEY_SET_VALUE, KEY_CREATE_SUB_KEY, KEY_CREATE_LINK, WRITE_DAC, WRITE_OWNER, GENERIC_WRITE and _ALL.
        /// </summary>
        public const uint KeyWrite = 0x2 | 0x4 | 0x20 | 0x40000 | 0x80000 | 0x40000000 | 0x10000000;

        /// <summary>FILE_WRITE_DATA (FILE_ADD_FILE), WRITE_DAC, WRITE_OWNER, GENERIC_WRITE and _ALL.</summary>
        public const uint FileWrite = 0x2 | 0x40000 | 0x80000 | 0x40000000 | 0x10000000;

        private static readonly Dictionary<string, string> Names = new Dictionary<string, string>
        {
            { "S-1-1-0", "Everyone" }, { "WD", "Everyone" },
            { "S-1-5-7", "anonymous users" }, { "AN", "anonymous users" },
            { "S-1-5-11", "authenticated users" }, { "AU", "authenticated users" },
            { "S-1-5-4", "interactive users" }, { "IU", "interactive users" },
            { "S-1-5-2", "network users" }, { "NU", "network users" },
            { "S-1-5-32-545", "Users" }, { "BU", "Users" }, { "S-1-5-32-546", "Guests" }, { "BG", "Guests" }
        };

        // Groups that administrators fill or that few programs are in.
        private static readonly Dictionary<string, string> Small = new Dictionary<string, string>
        {
            { "S-1-5-32-555", "Remote Desktop Users" }, { "S-1-5-32-556", "Network Configuration Operators" },
            { "S-1-5-3", "batch jobs" }, { "S-1-5-6", "services" }, { "SU", "services" },
            { "S-1-5-113", "local accounts" }, { "S-1-15-2-1", "all app packages" }, { "AC", "all app packages" }
        };

        // Administrator, and the groups that administrate domains.
        private static readonly Regex Administrators = new Regex("-(?:500|512|516|518|519)$");

        private const string Account = "the account ";

        /// <summary>Say whether a name is that of a single account.</summary>
        public static bool IsAccount(string name)
        {
            return name.StartsWith(Account, StringComparison.Ordinal);
        }

        /// <summary>Say whether one of the names stands for all accounts or nearly so.</summary>
        public static bool AreMany(ICollection<string> names)
        {
            bool areMany = false;
            foreach (string name in names)
            {
                areMany |= name == "Domain Users" || Names.ContainsValue(name);
            }
            return areMany;
        }

        /// <summary>Return the name of a group of ordinary accounts or such an account, null for any other.</summary>
        public static string Name(string sid)
        {
            string name;
            if (Names.TryGetValue(sid, out name) || Small.TryGetValue(sid, out name))
            {
                return name;
            }
            if (!sid.StartsWith("S-1-5-21-", StringComparison.Ordinal) || Administrators.IsMatch(sid))
            {
                return null;
            }
            return sid.EndsWith("-513", StringComparison.Ordinal) ? "Domain Users" : Account + sid;
        }

        /// <summary>Return which groups of ordinary accounts have any of the rights, each once.</summary>
        public static List<string> Among(IEnumerable<KeyValuePair<string, uint>> allowed, uint rights)
        {
            List<string> names = new List<string>();
            foreach (KeyValuePair<string, uint> entry in allowed)
            {
                string name = Name(entry.Key);
                if (name != null && (entry.Value & rights) != 0 && !names.Contains(name))
                {
                    names.Add(name);
                }
            }
            return names;
        }

        /// <summary>Return who may change a key, by its DACL as SecurityDescriptor writes it.</summary>
        public static List<string> KeyWriters(string dacl)
        {
            if (dacl == null)
            {
                return new List<string>();
            }
            if (dacl == "D:NO_ACCESS_CONTROL")
            {
                return new List<string> { "Everyone" };
            }
            List<KeyValuePair<string, uint>> allowed = new List<KeyValuePair<string, uint>>();
            foreach (string entry in dacl.Split('('))
            {
                string[] fields = entry.TrimEnd(')').Split(';');
                if (fields.Length == 6 && fields[0] == "A" && fields[1].IndexOf("IO", StringComparison.Ordinal) < 0)
                {
                    allowed.Add(new KeyValuePair<string, uint>(fields[5], Mask(fields[2])));
                }
            }
            return Among(allowed, KeyWrite);
        }

        private static uint Mask(string rights)
        {
            switch (rights)
            {
                case "KA":
                    return 0xF003F;
                case "KW":
                    return 0x20006;
                case "GA":
                    return 0x10000000;
                case "GW":
                    return 0x40000000;
                default:
                    uint mask;
                    bool isNumber = rights.StartsWith("0x", StringComparison.Ordinal) && uint.TryParse(
                        rights.Substring(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out mask);
                    return isNumber ? Convert.ToUInt32(rights, 16) : 0;
            }
        }
    }
}
