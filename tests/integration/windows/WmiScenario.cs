// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Wmi;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiCollector;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>What test_wmi.py needs in C#: the WMI of this machine.</summary>
public static class WmiScenario
{
    public static int State()
    {
        using (NativeWmi wmi = new NativeWmi())
        {
            return wmi.ServiceState();
        }
    }

    /// <summary>Return the status of a query, and the instances.</summary>
    public static JsonObject Instances(string path, string name, int limit)
    {
        List<WmiInstance> instances = new List<WmiInstance>();
        using (NativeWmi wmi = new NativeWmi())
        {
            int status = wmi.Instances(path, name, limit, instances);
            // The same session again.
            wmi.Instances(path, name, 0, new List<WmiInstance>());
            return new JsonObject
            {
                { "status", (long)(uint)status }, { "reason", WmiStatus.Describe(status) }, { "instances", instances }
            };
        }
    }

    public static JsonObject Collect(List<object> wmi)
    {
        Watch watch = new Watch { Name = "watch", Wmi = wmi.ConvertAll(delegate(object glob) { return (string)glob; }) };
        ScopeCoverage coverage = new ScopeCoverage("watch");
        List<Entry> entries = new List<Entry>();
        new WmiCollector(delegate { return new NativeWmi(); }).Collect(watch, coverage, new Deadline(0), entries.Add);
        return new JsonObject { { "coverage", coverage.Entry() }, { "entries", entries } };
    }
}
