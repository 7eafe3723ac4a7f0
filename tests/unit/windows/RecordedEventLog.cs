// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text.RegularExpressions;
using System.Threading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxFile;

/// <summary>
/// The event log of a test: channels as {"file": .evtx, "error": n, "refuses": text in queries, "seconds": how long an
/// export takes} and members of LogState. An export is a copy of the file, with all its records; with "newest" it has,
/// as on Windows, those that the query selects, from Oldest to that id. The file has its records from id 1 on then, one in each chunk.
/// </summary>
public sealed class RecordedEventLog : IEventLog
{
    private const int Header = 4096;
    private const int Chunk = 65536;
    private readonly Dictionary<string, object> _channels;
    private readonly Func<string, string> _local;

    /// <summary>The queries of exports, by channel.</summary>
    public readonly List<object> Queries = new List<object>();

    /// <param name="local">Where a path of Windows is on this machine.</param>
    public RecordedEventLog(Dictionary<string, object> channels, Func<string, string> local)
    {
        _channels = new Dictionary<string, object>(channels, StringComparer.OrdinalIgnoreCase);
        _local = local;
    }

    public int Read(string channel, out LogState state)
    {
        state = null;
        object recorded;
        if (!_channels.TryGetValue(channel, out recorded))
            return 15007;
        Dictionary<string, object> members = (Dictionary<string, object>)recorded;
        if (members.ContainsKey("error"))
            return (int)(long)members["error"];
        state = new LogState { MaxSize = 20971520, FileSize = 1118208 };
        foreach (KeyValuePair<string, object> member in members)
        {
            if (typeof(LogState).GetField(member.Key) != null)
                typeof(LogState).GetField(member.Key).SetValue(state, member.Value);
        }
        return 0;
    }

    public int Export(string channel, string query, string path)
    {
        Dictionary<string, object> members = (Dictionary<string, object>)_channels[channel];
        Queries.Add(new List<object> { channel, query });
        if (members.ContainsKey("refuses") && query.Contains((string)members["refuses"]))
            return 15001;
        if (members.ContainsKey("export_error"))
            return (int)(long)members["export_error"];
        if (members.ContainsKey("seconds"))
            Thread.Sleep((int)(1000 * (long)members["seconds"]));
        if (members.ContainsKey("newest"))
            Select((string)members["file"], query, (long)members["Oldest"], (long)members["newest"], _local(path));
        else
            File.Copy((string)members["file"], _local(path));
        return 0;
    }

    private static void Select(string file, string query, long oldest, long newest, string path)
    {
        byte[] part = new byte[Header + Chunk];
        using (FileStream log = File.OpenRead(file))
        using (FileStream export = new FileStream(path, FileMode.CreateNew))
        {
            log.Read(part, 0, Header);
            export.Write(part, 0, Header);
            for (long id = Math.Max(oldest, 1); id <= newest; id++)
            {
                log.Position = Header + (id - 1) * Chunk;
                log.Read(part, Header, Chunk);
                foreach (EventRecord record in new EvtxFile(new MemoryStream(part)).Read(new EvtxProblems()))
                {
                    if (IsSelected(record, query))
                        export.Write(part, Header, Chunk);
                }
            }
        }
    }

    // The queries that Reading.cs makes.
    private static bool IsSelected(EventRecord record, string query)
    {
        foreach (Match single in Regex.Matches(query, @"EventRecordID = (\d+)"))
        {
            if (record.RecordId == long.Parse(single.Groups[1].Value))
                return true;
        }
        Match after = Regex.Match(query, @"EventRecordID (>=?) (\d+)(.*)");
        if (!after.Success || record.RecordId < long.Parse(after.Groups[2].Value) + (after.Groups[1].Value == ">" ? 1 : 0))
            return false;
        bool hasIds = false;
        foreach (Match ids in Regex.Matches(after.Groups[3].Value, @"EventID (?:= (\d+)|>= (\d+) and EventID <= (\d+))"))
        {
            hasIds = true;
            int first = int.Parse(ids.Groups[1].Success ? ids.Groups[1].Value : ids.Groups[2].Value);
            int last = ids.Groups[1].Success ? first : int.Parse(ids.Groups[3].Value);
            if (record.EventId >= first && record.EventId <= last)
                return true;
        }
        return !hasIds;
    }

    public IDictionary<string, string> Volumes()
    {
        return new Dictionary<string, string> { { "\\Device\\HarddiskVolume3", "C:" } };
    }

    public IList<string> Names()
    {
        return new[] { "HOST", "host.example" };
    }
}
