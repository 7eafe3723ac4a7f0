// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Machine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PowerShellHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Privileges;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.platform.PlatformFacts;

/// <summary>What test_platform.py needs in C#: hosts whose Windows API returns recorded values.</summary>
public static class PlatformScript
{
    /// <summary>Return the facts, and what only Windows has.</summary>
    public static List<object> Gather(Dictionary<string, object> recorded)
    {
        RecordedHost host = new RecordedHost(recorded);
        PlatformFacts facts = new PlatformFacts(host, host, host);
        return new List<object> { facts.Facts(), facts.Windows() };
    }

    private sealed class RecordedHost : IMachine, IPrivileges, IPowerShellHost
    {
        private readonly Dictionary<string, object> _recorded;

        public RecordedHost(Dictionary<string, object> recorded)
        {
            _recorded = recorded;
        }

        int[] IMachine.Version()
        {
            return ((List<object>)_recorded["version"]).ConvertAll<int>(Convert.ToInt32).ToArray();
        }

        public object LocalMachineValue(string key, string name)
        {
            object value;
            ((Dictionary<string, object>)_recorded["registry"]).TryGetValue(key + "\\" + name, out value);
            return value is long ? (int)(long)value : value;
        }

        public int Architecture()
        {
            return Convert.ToInt32(_recorded["architecture"]);
        }

        public bool Is32BitProcess()
        {
            return (bool)_recorded["is_32bit_process"];
        }

        public string Domain()
        {
            return (string)_recorded["domain"];
        }

        public string SourceAddress(bool version6)
        {
            return (string)_recorded[version6 ? "address6" : "address4"];
        }

        public bool IsAdministrator()
        {
            return (bool)_recorded["is_administrator"];
        }

        public IList<string> Names()
        {
            List<object> names = (List<object>)_recorded["privileges"];
            if (names == null)
                throw new Win32Exception(5);
            return names.ConvertAll<string>(Convert.ToString);
        }

        public string Edition()
        {
            return (string)_recorded["edition"];
        }

        string IPowerShellHost.Version()
        {
            return (string)_recorded["powershell"];
        }

        public string LanguageMode()
        {
            return (string)_recorded["language_mode"];
        }

        public string LockdownPolicy()
        {
            return (string)_recorded["lockdown"];
        }
    }
}
