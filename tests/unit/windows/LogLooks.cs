// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;

/// <summary>Looks of a module at the event log of a test, with state in plain files.</summary>
public static class LogLooks
{
    /// <summary>Make the result of one look; look: what the test gives for it.</summary>
    public delegate Dictionary<string, object> Work(
        ModuleCall call, RecordedEventLog log, PlainStateFiles files, Dictionary<string, object> look);

    /// <summary>
    /// Look several times; each look has "channels" and may have "options", "lost" (its result is not recorded),
    /// "check", "held" (exports cannot be removed), "restored" (the number of the look after which the store is as it
    /// was then, -1 for an empty one) and "killed_at" (the call to the state's files at which it is killed). Returns
    /// the results, each with the queries of its exports.
    /// </summary>
    /// <param name="defaults">Options of the module beside those that both modules have.</param>
    public static List<object> Run(
        string directory, string content, List<object> looks, Dictionary<string, object> defaults, Work work)
    {
        List<object> results = new List<object>();
        string token = null;
        List<string> tokens = new List<string>();
        foreach (object element in looks)
        {
            Dictionary<string, object> look = (Dictionary<string, object>)element;
            PlainStateFiles files = new PlainStateFiles(directory);
            if (look.ContainsKey("restored"))
                token = (long)look["restored"] < 0 ? null : tokens[(int)(long)look["restored"]];
            if (look.ContainsKey("held"))
                files.Held = ".evtx";
            if (look.ContainsKey("killed_at"))
                files.KilledAt = (int)(long)look["killed_at"];
            Dictionary<string, object> options = new Dictionary<string, object>(defaults)
            {
                { "state_dir", "C:\\state" }, { "paths", null }, { "since", null }, { "max_findings", 1000L },
                { "time_budget", 0L }, { "_content", content }, { "_token", token }, { "_advance", true },
                { "_recording", null },
            };
            foreach (KeyValuePair<string, object> option in Member(look, "options"))
                options[option.Key] = option.Value;
            RecordedEventLog log = new RecordedEventLog(Member(look, "channels"), files.Local);
            Dictionary<string, object> result;
            try
            {
                result = work(new ModuleCall(options, look.ContainsKey("check"), false), log, files, look);
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
            tokens.Add(token);
            result["queries"] = log.Queries;
            results.Add(result);
        }
        return results;
    }

    /// <summary>Return a member that is an object, an empty one if there is none.</summary>
    public static Dictionary<string, object> Member(Dictionary<string, object> look, string name)
    {
        object member;
        look.TryGetValue(name, out member);
        return (Dictionary<string, object>)member ?? new Dictionary<string, object>();
    }
}
