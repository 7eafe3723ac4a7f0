// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>A host that has the entries of a list, and nothing else.</summary>
public sealed class ListedEntries : ICollector, IPresence
{
    private readonly List<Entry> _entries;

    /// <param name="entries">Each has "kind", "path" and "attributes".</param>
    public ListedEntries(List<object> entries)
    {
        _entries = entries.ConvertAll<Entry>(EntryOf);
    }

    public static Entry EntryOf(object fields)
    {
        JsonObject entry = (JsonObject)fields;
        return new Entry((string)entry["kind"], (string)entry["path"], (JsonObject)entry["attributes"]);
    }

    public void Collect(Watch watch, ScopeCoverage coverage, Deadline deadline, Action<Entry> emit)
    {
        _entries.ForEach(emit);
    }

    public bool? Exists(Entry entry)
    {
        return false;
    }
}
