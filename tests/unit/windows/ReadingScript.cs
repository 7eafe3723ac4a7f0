// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Reading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

/// <summary>Runs over a channel whose log a test writes down: records are [id, time, event id].</summary>
public static class ReadingScript
{
    public static string Query(object mark, Dictionary<string, object> state, List<object> ids)
    {
        return new Reading("Security", Restore(mark), State(state), ids == null).Query(
            ids == null ? null : ids.ConvertAll(delegate(object id) { return (int)(long)id; }));
    }

    /// <summary>
    /// Look at a channel as it is at each look, and go on from the one before. Returns for each look the query, the
    /// ids that were taken, the problems and what the next one goes on from.
    /// </summary>
    public static List<object> Looks(object mark, List<object> looks)
    {
        List<object> results = new List<object>();
        foreach (object element in looks)
        {
            Dictionary<string, object> look = (Dictionary<string, object>)element;
            Dictionary<string, object> result = Look(look.ContainsKey("mark") ? look["mark"] : mark, look);
            results.Add(result);
            mark = result["next"];
        }
        return results;
    }

    private static Dictionary<string, object> Look(object mark, Dictionary<string, object> look)
    {
        bool isWhole = !look.ContainsKey("ids");
        LogState state = State((Dictionary<string, object>)look["state"]);
        Reading reading = new Reading("Security", Restore(mark), state, isWhole);
        List<object> taken = new List<object>();
        if (look.ContainsKey("cleared_by"))
            reading.Clear((string)look["cleared_by"]);
        object archived;
        if (reading.HasGap)
        {
            look.TryGetValue("archived", out archived);
            foreach (EventRecord record in Records(archived))
            {
                if (reading.TakeArchived(record))
                    taken.Add(record.RecordId);
            }
            reading.EndArchives();
        }
        bool isCutOff = look.ContainsKey("most");
        if (!Export(reading, look, isWhole, taken))
        {
            reading.Restart();
            Export(reading, look, isWhole, taken);
        }
        reading.Finish(isCutOff);
        return new Dictionary<string, object>
        {
            { "taken", taken },
            { "problems", reading.Problems.ConvertAll(delegate(ChannelProblem problem)
                {
                    return (object)new List<object> { problem.Alert, problem.Reason, problem.Count };
                }) },
            { "next", reading.Next().State() },
        };
    }

    // What the query selects, as Windows would. False where the log is another one.
    private static bool Export(Reading reading, Dictionary<string, object> look, bool isWhole, List<object> taken)
    {
        long after = reading.After;
        LogState state = State((Dictionary<string, object>)look["state"]);
        long newest = state.Oldest + state.Count - 1;
        foreach (EventRecord record in Records(look["records"]))
        {
            bool isAsked = isWhole
                ? record.RecordId >= after
                : record.RecordId == after || record.RecordId == newest ||
                    (record.RecordId > after && ((List<object>)look["ids"]).Contains((long)record.EventId));
            if (isAsked && reading.Take(record))
                taken.Add(record.RecordId);
            if (reading.IsReplaced && after > 0)
                return false;
            if (look.ContainsKey("most") && taken.Count >= (long)look["most"])
                break;
        }
        return true;
    }

    private static IEnumerable<EventRecord> Records(object records)
    {
        foreach (object element in (List<object>)records ?? new List<object>())
        {
            List<object> parts = (List<object>)element;
            EventRecord record = new EventRecord
            {
                Channel = "security", RecordId = (long)parts[0], Time = (long)parts[1], EventId = (int)(long)parts[2],
            };
            if (record.EventId == Reading.SecurityCleared)
            {
                record.Provider = Reading.Eventlog;
                record.Fields.Add(new KeyValuePair<string, object>("SubjectUserName", "eve"));
                record.Fields.Add(new KeyValuePair<string, object>("SubjectDomainName", "SHOP"));
            }
            yield return record;
        }
    }

    private static ChannelMark Restore(object mark)
    {
        return mark == null ? null : ChannelMark.Restore(mark);
    }

    private static LogState State(Dictionary<string, object> members)
    {
        LogState state = new LogState { MaxSize = 20971520, FileSize = 1118208, Path = "C:\\Logs\\Security.evtx" };
        foreach (KeyValuePair<string, object> member in members)
            typeof(LogState).GetField(member.Key).SetValue(state, member.Value);
        return state;
    }
}
