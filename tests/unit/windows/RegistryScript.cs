// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Threading;
using Microsoft.Win32.SafeHandles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Changes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Review;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>What test_registry.py needs in C#: a recorded registry, and facts of a host that is not there.</summary>
public static class RegistryScript
{
    /// <summary>
    /// Collect a watch from a recorded registry, and return entries and coverage. compared: files whose content is.
    /// </summary>
    public static JsonObject Collect(
        JsonObject tree, JsonObject watch, long limit, bool isLate, List<object> compared)
    {
        Deadline deadline = new Deadline(isLate ? 0.001 : 0);
        if (isLate)
        {
            Thread.Sleep(5);
        }
        ScopeCoverage coverage = new ScopeCoverage("watch");
        List<object> entries = new List<object>();
        using (RegistryCollector collector = new RegistryCollector(new RecordedRegistry(tree), (int)limit))
        {
            collector.IsCompared = compared.Contains;
            collector.Collect(WatchOf(watch), coverage, deadline, delegate(Entry entry) { entries.Add(entry); });
        }
        return new JsonObject { { "entries", entries }, { "coverage", coverage.Entry() } };
    }

    public static Judgement JudgeEntry(JsonObject facts, JsonObject entry)
    {
        return new RegistryJudge(new RecordedFacts(facts)).JudgeEntry(EntryOf(entry), new Watch());
    }

    public static Judgement JudgeChange(JsonObject facts, string kind, JsonObject before, JsonObject after, long since)
    {
        Change change = new Change { Kind = kind, Before = EntryOf(before), After = EntryOf(after) };
        change.Path = change.Current.Path;
        if (before != null && after != null)
        {
            change.Attributes = new[] { "content" };
        }
        return new RegistryJudge(new RecordedFacts(facts), since).JudgeChange(change, new Watch());
    }

    /// <summary>Return the detections of what came and went; doubts: whether signatures prove nothing.</summary>
    public static JsonObject Detections(JsonObject facts, List<object> before, List<object> after)
    {
        Watch watch = new Watch { Name = "watch", Alert = "persistence_scheduled_task", Severity = "medium" };
        watch.Include = new List<string> { "*" };
        IJudge[] judges = { new RegistryJudge(new RecordedFacts(facts)) };
        Review review = new Review(new Classifier(new[] { watch }, judges), 1000, null);
        Changes changes = new Changes(delegate { return true; }, review.Take);
        before.ForEach(delegate(object entry) { changes.Missing("watch", EntryOf((JsonObject)entry)); });
        after.ForEach(delegate(object entry) { changes.Created("watch", EntryOf((JsonObject)entry)); });
        changes.Finish();
        review.Finish();
        return new JsonObject { { "detections", review.Detections() }, { "doubts", review.DoubtsSignatures } };
    }

    /// <summary>Return the hive that a line of the baseline is from.</summary>
    public static string Hive(JsonObject entry)
    {
        return Lines.Hive(Lines.Write(EntryOf(entry), "watch", ""));
    }

    /// <summary>Ask for the writers, the existence and the signer of paths; return what is opened for that.</summary>
    public static List<object> Opened(List<object> paths)
    {
        LinkedFiles files = new LinkedFiles();
        IRegistryFacts facts = new HostRegistryFacts(null, files, null, @"C:\Windows");
        foreach (string path in paths)
        {
            facts.Writers(path);
            facts.FileExists(path);
            facts.Signer(path);
        }
        return files.Opened;
    }

    /// <summary>Return how often a program that the registry names is read for its signature.</summary>
    public static long SignerReads(long size, long attributes)
    {
        LinkedFiles files = new LinkedFiles();
        files.Facts = new FileFacts { Attributes = (uint)attributes, Size = size };
        new HostRegistryFacts(null, files, null, @"C:\Windows").Signer(@"C:\x.exe");
        return files.Reads;
    }

    internal static Watch WatchOf(JsonObject fields)
    {
        Watch watch = new Watch { Name = "watch" };
        foreach (string name in new[] { "registry", "exclude", "include", "attributes" })
        {
            List<string> texts = new List<string>();
            object listed;
            foreach (object text in fields.TryGetValue(name, out listed) ? (List<object>)listed : new List<object>())
            {
                texts.Add((string)text);
            }
            switch (name)
            {
                case "registry":
                    watch.Registry = texts;
                    break;
                case "exclude":
                    watch.Exclude = texts;
                    break;
                case "include":
                    watch.Include = texts;
                    break;
                default:
                    watch.Attributes = texts.Count == 0 ? null : new HashSet<string>(texts);
                    break;
            }
        }
        object levels;
        watch.Recurse = fields.TryGetValue("recurse", out levels) ? (int)(long)levels : -1;
        return watch;
    }

    private static Entry EntryOf(JsonObject entry)
    {
        if (entry == null)
        {
            return null;
        }
        return new Entry((string)entry["kind"], (string)entry["path"], (JsonObject)entry["attributes"]);
    }
}

/// <summary>A disk C: and a network drive N:, on which every name is a link, or has other facts.</summary>
internal sealed class LinkedFiles : IFiles, IOpenFile
{
    public readonly List<object> Opened = new List<object>();
    public FileFacts Facts = new FileFacts { Attributes = 0x410 };
    public long Reads;

    public SafeFileHandle Handle
    {
        get { return null; }
    }

    public int Open(IOpenFile directory, string name, FileUse use, out IOpenFile file)
    {
        Opened.Add(name);
        file = this;
        return 0;
    }

    public int Find(IOpenFile directory, string name, FileUse use, out IOpenFile file)
    {
        return Open(directory, name, use, out file);
    }

    public uint DriveType(string root)
    {
        return root == "C:\\" ? 3u : 4u;
    }

    public int Query(out FileFacts facts)
    {
        facts = Facts;
        return 0;
    }

    public int FinalPath(out string path)
    {
        throw new NotSupportedException();
    }

    public int List(ICollection<DirectoryItem> items, bool isFirst)
    {
        throw new NotSupportedException();
    }

    public int Reparse(out byte[] data)
    {
        throw new NotSupportedException();
    }

    public int Read(long position, byte[] buffer, out int count)
    {
        Reads++;
        count = 0;
        return 0;
    }

    public void Dispose()
    {
    }
}

/// <summary>
/// A registry of JSON objects. Of a key: keys, values (lists of name, type, base64), last_write, class, link, security
/// (base64), denied (what cannot be read), gone (it vanishes once it is open), unstable (times that its counts lie).
/// </summary>
internal sealed class RecordedRegistry : IRegistry
{
    private readonly JsonObject _tree;

    public RecordedRegistry(JsonObject tree)
    {
        _tree = tree;
    }

    public uint OpenRoot(string hive, out IRegistryKey key)
    {
        object root;
        key = _tree.TryGetValue(hive, out root) ? new RecordedKey(this, (JsonObject)root) : null;
        return key == null ? RegistryStatus.AccessDenied : RegistryStatus.Success;
    }

    public RecordedKey Resolve(string target)
    {
        string[] names = target.Split(new[] { '\\' }, 4);
        IRegistryKey root;
        IRegistryKey key = null;
        if (OpenRoot(names[2].ToUpperInvariant() == "MACHINE" ? "HKLM" : "HKU", out root) == RegistryStatus.Success)
        {
            root.Open(names[3], true, out key);
        }
        return (RecordedKey)key;
    }
}

internal sealed class RecordedKey : IRegistryKey
{
    private readonly RecordedRegistry _registry;
    private readonly JsonObject _fields;

    public RecordedKey(RecordedRegistry registry, JsonObject fields)
    {
        _registry = registry;
        _fields = fields;
    }

    private bool IsGone
    {
        get { return _fields.ContainsKey("gone"); }
    }

    public uint Open(string name, bool followLink, out IRegistryKey key)
    {
        key = null;
        string[] names = name.Split(new[] { '\\' }, 2);
        JsonObject child = null;
        foreach (KeyValuePair<string, object> each in Keys())
        {
            if (string.Equals(each.Key, names[0], StringComparison.OrdinalIgnoreCase))
            {
                child = (JsonObject)each.Value;
            }
        }
        if (child == null || child.ContainsKey("never"))
        {
            return RegistryStatus.NameNotFound;
        }
        if (Denied(child, "all"))
        {
            return RegistryStatus.AccessDenied;
        }
        RecordedKey opened = new RecordedKey(_registry, child);
        if (child.ContainsKey("link") && (followLink || names.Length > 1))
        {
            opened = _registry.Resolve((string)child["link"]);
        }
        if (names.Length > 1)
        {
            return opened.Open(names[1], followLink, out key);
        }
        key = opened;
        return key == null ? RegistryStatus.NameNotFound : RegistryStatus.Success;
    }

    public uint Query(out KeyInformation information)
    {
        information = null;
        if (IsGone)
        {
            return RegistryStatus.KeyDeleted;
        }
        if (Denied(_fields, "query"))
        {
            return RegistryStatus.AccessDenied;
        }
        object unstable;
        long lies = _fields.TryGetValue("unstable", out unstable) ? (long)unstable : 0;
        _fields["unstable"] = Math.Max(0, lies - 1);
        object field;
        information = new KeyInformation();
        information.LastWrite = _fields.TryGetValue("last_write", out field) ? (long)field : 0;
        information.Class = _fields.TryGetValue("class", out field) ? (string)field : "";
        information.Subkeys = Keys().Count;
        information.Values = Values().Count + (lies > 0 ? 1 : 0);
        return RegistryStatus.Success;
    }

    public uint Subkey(int index, out string name)
    {
        name = null;
        List<string> names = new List<string>(Keys().Keys);
        if (index >= names.Count)
        {
            return RegistryStatus.NoMoreEntries;
        }
        name = names[index];
        return RegistryStatus.Success;
    }

    public uint Value(int index, out RegistryValue value)
    {
        value = null;
        List<List<object>> values = Values();
        if (index >= values.Count)
        {
            return RegistryStatus.NoMoreEntries;
        }
        List<object> fields = values[index];
        value = new RegistryValue { Name = (string)fields[0], Type = (uint)(long)fields[1] };
        if (fields[2] is long)
        {
            value.Size = (long)fields[2];
            return RegistryStatus.ValueTooLarge;
        }
        value.Data = Convert.FromBase64String((string)fields[2]);
        value.Size = value.Data.Length;
        return RegistryStatus.Success;
    }

    public uint Find(string name, out RegistryValue value)
    {
        uint status = RegistryStatus.Success;
        value = null;
        for (int index = 0; status != RegistryStatus.NoMoreEntries; index++)
        {
            status = Value(index, out value);
            if (value != null && string.Equals(value.Name, name, StringComparison.OrdinalIgnoreCase))
            {
                return status;
            }
        }
        return RegistryStatus.NameNotFound;
    }

    public uint Security(out byte[] descriptor)
    {
        object text;
        descriptor = null;
        if (Denied(_fields, "security") || !_fields.TryGetValue("security", out text))
        {
            return RegistryStatus.AccessDenied;
        }
        descriptor = Convert.FromBase64String((string)text);
        return RegistryStatus.Success;
    }

    public void Dispose()
    {
    }

    private static bool Denied(JsonObject fields, string what)
    {
        object denied;
        return fields.TryGetValue("denied", out denied) && (string)denied == what;
    }

    private JsonObject Keys()
    {
        object keys;
        return _fields.TryGetValue("keys", out keys) ? (JsonObject)keys : new JsonObject();
    }

    private List<List<object>> Values()
    {
        List<List<object>> values = new List<List<object>>();
        object listed;
        foreach (object value in _fields.TryGetValue("values", out listed) ? (List<object>)listed : new List<object>())
        {
            values.Add((List<object>)value);
        }
        object link;
        if (_fields.TryGetValue("link", out link))
        {
            string data = Convert.ToBase64String(System.Text.Encoding.Unicode.GetBytes((string)link));
            values.Add(new List<object> { "SymbolicLinkValue", 6L, data });
        }
        return values;
    }
}
