// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Apply;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Look;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiJudge;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>Calls both modules on a host whose WMI gives recorded replies.</summary>
public static class WmiCalls
{
    public static JsonObject Call(string module, JsonObject parameters, JsonObject replies)
    {
        Exception unexpected;
        JsonObject result;
        using (Host host = Host.Local())
        using (NativeAuthenticode authenticode = new NativeAuthenticode())
        {
            NativeRegistry registry = new NativeRegistry();
            IRegistryFacts facts = new HostRegistryFacts(registry, new NativeFiles(), authenticode, @"C:\windows");
            WmiCollector wmi = new WmiCollector(delegate { return new RecordedWmi(replies); });
            host.Collectors = new List<ICollector> { wmi };
            host.Presence = new HostPresence(new NativeFiles(), registry, wmi);
            host.NewJudges = delegate { return new IJudge[] { new WmiJudge(facts, wmi.Trigger) }; };
            result = Outcome.Of(
                new ModuleCall(parameters, false, true),
                delegate(ModuleCall call)
                {
                    bool looks = module == "win_file_integrity_info";
                    return looks ? Look.Compared(Options.Parse(call.Params), host) : Apply.Of(call, host);
                },
                out unexpected);
        }
        if (unexpected != null)
        {
            throw unexpected;
        }
        return result;
    }
}
