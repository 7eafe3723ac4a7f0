// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Collect;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Host;

/// <summary>Looks of win_sign_in_info at the event log of a test, with state in plain files.</summary>
public static class SignInLookScript
{
    /// <summary>
    /// Look several times; each look has "channels" and may have "options", "host" (members of Host), "lost" (its
    /// result is not recorded), "check" and "killed_at" (the call to the state's files at which it is killed).
    /// </summary>
    public static List<object> Looks(string directory, string content, List<object> looks)
    {
        List<object> results = new List<object>();
        string token = null;
        foreach (object element in looks)
        {
            Dictionary<string, object> look = (Dictionary<string, object>)element;
            PlainStateFiles files = new PlainStateFiles(directory);
            if (look.ContainsKey("killed_at"))
                files.KilledAt = (int)(long)look["killed_at"];
            Dictionary<string, object> options = new Dictionary<string, object>
            {
                { "state_dir", "C:\\state" }, { "paths", null }, { "since", null }, { "max_findings", 1000L },
                { "first_days", 36500L }, { "time_budget", 0L }, { "_content", content }, { "_token", token },
                { "_advance", true }, { "_recording", null },
            };
            foreach (KeyValuePair<string, object> option in Member(look, "options"))
                options[option.Key] = option.Value;
            RecordedEventLog log = new RecordedEventLog(Member(look, "channels"), files.Local);
            Dictionary<string, object> result;
            try
            {
                ModuleCall call = new ModuleCall(options, look.ContainsKey("check"), false);
                result = new Collect(call, log, files, delegate { return Made(Member(look, "host")); }).Run();
            }
            catch (KilledException)
            {
                result = new Dictionary<string, object> { { "killed", true } };
            }
            catch (HostException error)
            {
                result = new Dictionary<string, object> { { "failed", error.Message } };
            }
            object saved;
            if (result.TryGetValue("checkpoint", out saved) && !look.ContainsKey("lost"))
                token = (string)((Dictionary<string, object>)saved)["token"];
            result["queries"] = log.Queries;
            results.Add(result);
        }
        return results;
    }

    private static Host Made(Dictionary<string, object> members)
    {
        Host host = new Host
        {
            IsDomainController = members.ContainsKey("IsDomainController"),
            HasOpenSsh = members.ContainsKey("HasOpenSsh"),
        };
        if (members.ContainsKey("Logon"))
            host.Logons.Add((string)members["Logon"]);
        if (members.ContainsKey("LogonsSince"))
            host.LogonsSince = long.Parse((string)members["LogonsSince"]);
        if (members.ContainsKey("Address"))
            host.Addresses.Add((string)members["Address"]);
        return host;
    }

    private static Dictionary<string, object> Member(Dictionary<string, object> look, string name)
    {
        object member;
        look.TryGetValue(name, out member);
        return (Dictionary<string, object>)member ?? new Dictionary<string, object>();
    }
}
