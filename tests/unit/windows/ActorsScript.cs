// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Comparison;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostState;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>Whole comparisons with an event log.</summary>
public static class ActorsScript
{
    /// <summary>
    /// Return the result of the module with the queries of exports and the files that are left. channels: null for a host
    /// without an event log. history: events of the baseline as [until, action, count, paths].
    /// </summary>
    public static JsonObject Compare(
        string directory, JsonObject channels, List<object> history, List<object> before, List<object> now, bool isAudited)
    {
        Watch watch = new Watch { Name = "watch", Registry = new[] { @"HKLM\*" }, Paths = new[] { @"C:\x" } };
        Directory.CreateDirectory(directory + "/C");
        PlainStateFiles files = new PlainStateFiles(directory);
        using (StateDirectory state = StateDirectory.Open(files, @"C:\state", "file_integrity", true))
        {
            state.Replace("default.baseline", delegate(Stream stream)
            {
                Header header = new Header { Since = 100, Watches = new List<Watch> { watch } };
                history.ForEach(delegate(object item) { header.History.Add(EventOf((List<object>)item)); });
                BaselineWriter writer = new BaselineWriter(stream, header);
                before.ForEach(delegate(object entry) { writer.Add(Lines.Write(ListedEntries.EntryOf(entry), "watch", "")); });
                writer.Finish();
            });
            ListedEntries entries = new ListedEntries(now);
            Host host = new Host { IsAdministrator = true, Presence = entries };
            host.Collectors.Add(entries);
            host.ControlSet = delegate { return "001"; };
            host.IsAudited = delegate { return isAudited; };
            RecordedEventLog log = channels == null ? null : new RecordedEventLog(channels, files.Local);
            host.EventLog = log;
            using (Opened opened = new Opened { Baseline = Baseline.Open(state, "default.baseline") })
            {
                Options options = new Options { MaxChanges = 1000 };
                Comparison comparison = new Comparison(options, opened, state, host, new Deadline(0));
                comparison.Run(null);
                JsonObject result = comparison.Result();
                result["queries"] = log == null ? new List<object>() : log.Queries;
                result["files"] = state.Names();
                return result;
            }
        }
    }

    private static Event EventOf(List<object> fields)
    {
        return new Event
        {
            When = 0, Until = Convert.ToDouble(fields[0]), By = "", Reason = "", Action = (string)fields[1],
            Count = (long)fields[2], Paths = (List<object>)fields[3]
        };
    }
}
