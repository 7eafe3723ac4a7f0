// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;

/// <summary>
/// The event log of a test: channels as {"file": .evtx, "error": n, "refuses": text in queries} and members of LogState.
/// An export is a copy of the file, with all its records.
/// </summary>
public sealed class RecordedEventLog : IEventLog
{
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
        File.Copy((string)members["file"], _local(path));
        return 0;
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
