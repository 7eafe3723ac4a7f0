// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Threading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Wmi;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Changes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Review;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.WmiJudge;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>What test_wmi.py needs in C#: recorded replies of WMI, and two looks at them.</summary>
public static class WmiScript
{
    /// <summary>Collect a watch; return entries with what the first look says of them, and the coverage.</summary>
    public static JsonObject Collect(
        JsonObject wmi, JsonObject watch, JsonObject facts, double seconds, double budget, long limit)
    {
        RecordedWmi recorded = new RecordedWmi(wmi);
        WmiCollector collector = new WmiCollector(delegate { return recorded; }, seconds, (int)limit);
        ScopeCoverage coverage = new ScopeCoverage("watch");
        Watch parsed = WatchOf(watch);
        List<Entry> entries = new List<Entry>();
        collector.Collect(parsed, coverage, new Deadline(budget), entries.Add);
        IJudge judge = new WmiJudge(new RecordedFacts(facts), collector.Trigger);
        List<object> shown = new List<object>();
        foreach (Entry entry in entries)
        {
            // As a baseline keeps it.
            Entry read = Lines.Parse(Lines.Write(entry, "watch", "")).Entry;
            Judgement judgement = judge.JudgeEntry(read, parsed);
            shown.Add(new JsonObject
            {
                { "path", read.Path }, { "attributes", read.Attributes },
                { "severity", judgement == null ? null : judgement.Severity },
                { "message", judgement == null ? null : judgement.Message }
            });
        }
        return new JsonObject
        {
            { "entries", shown }, { "coverage", coverage.Entry() }, { "asked", new List<string>(recorded.Asked) }
        };
    }

    /// <summary>Return the detections of what changed between two states, and what was explained.</summary>
    public static JsonObject Compare(JsonObject before, JsonObject after, JsonObject watch)
    {
        Watch parsed = WatchOf(watch);
        SortedDictionary<string, Entry> old = new SortedDictionary<string, Entry>(StringComparer.Ordinal);
        new WmiCollector(delegate { return new RecordedWmi(before); }).Collect(
            parsed, new ScopeCoverage("watch"), new Deadline(0), delegate(Entry entry) { old[entry.Path] = entry; });
        WmiCollector collector = new WmiCollector(delegate { return new RecordedWmi(after); });
        IJudge judge = new WmiJudge(new RecordedFacts(new JsonObject()), collector.Trigger);
        Review review = new Review(new Classifier(new[] { parsed }, new[] { judge }), 100, null);
        Changes changes = new Changes(
            delegate(Entry entry, string name) { return collector.Exists(entry) == false; }, review.Take);
        HashSet<string> now = new HashSet<string>();
        collector.Collect(parsed, new ScopeCoverage("watch"), new Deadline(0), delegate(Entry entry)
        {
            Entry earlier;
            now.Add(entry.Path);
            if (!old.TryGetValue(entry.Path, out earlier))
            {
                changes.Created("watch", entry);
            }
            else if (!changes.Compared("watch", earlier, entry) && judge.JudgeEntry(entry, parsed) != null &&
                judge.JudgeEntry(earlier, parsed) == null)
            {
                changes.Suspicious("watch", entry);
            }
        });
        foreach (Entry entry in old.Values)
        {
            if (!now.Contains(entry.Path))
            {
                changes.Missing("watch", entry);
            }
        }
        changes.Finish();
        review.Finish();
        return new JsonObject { { "detections", review.Detections() }, { "explained", review.Explained() } };
    }

    /// <summary>Judge a file that WMI compiles again. content: what is in it now.</summary>
    public static Judgement JudgeFile(string path, string digest, List<object> changed, byte[] content)
    {
        Entry entry = new Entry(EntryKinds.File, path, new JsonObject { { "sha256", digest } });
        Change change = new Change { Kind = ChangeKinds.Created, Path = path, After = entry };
        if (changed.Count > 0)
        {
            change.Kind = ChangeKinds.Modified;
            change.Before = entry;
            change.Attributes = changed.ConvertAll(delegate(object name) { return (string)name; }).ToArray();
        }
        IJudge judge = new WmiJudge(
            new RecordedFacts(new JsonObject()), delegate { return null; }, delegate { return content; });
        return judge.JudgeChange(change, new Watch());
    }

    private static Watch WatchOf(JsonObject fields)
    {
        foreach (string name in new[]
            {
                "name", "paths", "registry", "wmi", "exclude", "include", "techniques", "recurse", "category",
                "attributes", "alert"
            })
        {
            if (!fields.ContainsKey(name))
            {
                fields[name] = name == "name" ? "watch" : null;
            }
        }
        return Definitions.FromData(fields);
    }
}

/// <summary>
/// Replies by namespace and class: a status, or a list of [class, path, properties]. "state": of the service. "wait":
/// milliseconds that each call takes. "sid:BASE64" is an array of bytes.
/// </summary>
internal sealed class RecordedWmi : IWmi
{
    private readonly JsonObject _replies;

    public readonly List<string> Asked = new List<string>();

    public RecordedWmi(JsonObject replies)
    {
        _replies = replies;
    }

    public int ServiceState()
    {
        return _replies.ContainsKey("state") ? (int)(long)_replies["state"] : 4;
    }

    public int Instances(string path, string name, int limit, IList<WmiInstance> instances)
    {
        lock (Asked)
        {
            Asked.Add(path + ":" + name);
        }
        Thread.Sleep(_replies.ContainsKey("wait") ? (int)(long)_replies["wait"] : 0);
        if (_replies.ContainsKey("crash"))
        {
            throw new InvalidOperationException((string)_replies["crash"]);
        }
        object classes;
        object reply;
        if (!_replies.TryGetValue(path.ToLowerInvariant(), out classes))
        {
            return unchecked((int)0x8004100E);
        }
        if (!((JsonObject)classes).TryGetValue(name, out reply))
        {
            return 0;
        }
        if (reply is long)
        {
            return unchecked((int)(long)reply);
        }
        foreach (object element in (List<object>)reply)
        {
            List<object> fields = (List<object>)element;
            if (instances.Count >= limit)
            {
                return WmiStatus.More;
            }
            WmiInstance instance = new WmiInstance { Class = (string)fields[0], RelativePath = (string)fields[1] };
            foreach (KeyValuePair<string, object> property in (JsonObject)fields[2])
            {
                string text = property.Value as string ?? "";
                instance.Properties[property.Key] = text.StartsWith("sid:", StringComparison.Ordinal)
                    ? Convert.FromBase64String(text.Substring(4))
                    : property.Value;
            }
            instances.Add(instance);
        }
        return 0;
    }

    public void Dispose()
    {
    }
}
