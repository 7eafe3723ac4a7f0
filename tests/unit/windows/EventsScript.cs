// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Reflection;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Requirements;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.ScriptBlocks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Views;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

/// <summary>Views of records that a test writes down as JSON: members of EventRecord, and Fields as pairs.</summary>
public static class EventsScript
{
    public static object Views(List<object> sources, Dictionary<string, object> volumes, List<object> records)
    {
        Dictionary<string, string> drives = volumes == null ? null : new Dictionary<string, string>();
        foreach (KeyValuePair<string, object> volume in volumes ?? new Dictionary<string, object>())
            drives[volume.Key] = (string)volume.Value;
        Views views = new Views(sources.ConvertAll(delegate(object source) { return (string)source; }), drives);
        List<object> found = new List<object>();
        foreach (object record in records)
            Add(found, views.Of(Record((Dictionary<string, object>)record)));
        Add(found, views.Rest());
        return found;
    }

    /// <summary>
    /// Return the joined texts that each record finishes, then those of the rest and the count of incomplete ones.
    /// </summary>
    public static object Join(int most, List<object> records)
    {
        ScriptBlocks blocks = new ScriptBlocks(most);
        List<object> steps = new List<object>();
        foreach (object record in records)
            steps.Add(Texts(blocks.Add(Record((Dictionary<string, object>)record))));
        steps.Add(Texts(blocks.Rest()));
        steps.Add(blocks.Incomplete);
        return steps;
    }

    public static object Missing(List<object> recorded, string source, List<object> condition)
    {
        return Needs(recorded).Missing(source, condition);
    }

    public static object MissingOf(List<object> recorded, List<object> rules)
    {
        return Needs(recorded).Missing(rules);
    }

    public static object Recorded(Dictionary<string, object> recording)
    {
        return Requirements.Recorded(recording);
    }

    public static object EventIds(List<object> rules)
    {
        return Requirements.EventIds(rules);
    }

    public static object Certain(List<object> condition, List<object> known)
    {
        return Requirements.Certain(condition, known.ConvertAll(delegate(object name) { return (string)name; }));
    }

    private static Requirements Needs(List<object> recorded)
    {
        return new Requirements(recorded.ConvertAll(delegate(object name) { return (string)name; }));
    }

    private static List<object> Texts(List<EventRecord> records)
    {
        List<object> texts = new List<object>();
        foreach (EventRecord record in records)
        {
            foreach (KeyValuePair<string, object> field in record.Fields)
            {
                if (field.Key == "ScriptBlockText")
                    texts.Add(new List<object> { record.RecordId, field.Value });
            }
        }
        return texts;
    }

    private static void Add(List<object> found, IEnumerable<EventView> views)
    {
        foreach (EventView view in views)
            found.Add(new List<object> { view.Source, view.Record.RecordId, view.IsMapped, view.Fields });
    }

    private static EventRecord Record(Dictionary<string, object> members)
    {
        EventRecord record = new EventRecord();
        foreach (KeyValuePair<string, object> member in members)
        {
            if (member.Key == "Fields")
            {
                foreach (object element in (List<object>)member.Value)
                {
                    List<object> pair = (List<object>)element;
                    object value = pair[1] as string ?? (object)((List<object>)pair[1]).ConvertAll(
                        delegate(object text) { return (string)text; });
                    record.Fields.Add(new KeyValuePair<string, object>((string)pair[0], value));
                }
                continue;
            }
            FieldInfo field = typeof(EventRecord).GetField(member.Key);
            field.SetValue(record, Convert.ChangeType(member.Value, field.FieldType));
        }
        return record;
    }
}
