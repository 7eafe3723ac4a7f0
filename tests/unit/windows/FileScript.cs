// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Microsoft.Win32.SafeHandles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileLinks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Streams;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PathPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PortableExecutable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Updates;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;

/// <summary>Runs the parts of the file collector on recorded files; test_files.py says what the cases are.</summary>
public static class FileScript
{
    public static object Run(Dictionary<string, object> single)
    {
        switch ((string)single["do"])
        {
            case "collect":
                return Collect(single);
            case "judge":
                return Judge(single);
            case "update":
                return Update(single);
            case "reparse":
                ReparsePoint point = ReparsePoint.Parse(Convert.FromBase64String((string)single["data"]));
                return new List<object> { point.TagName, point.Target, point.IsLink, point.HasContent };
            case "program":
                return Program(Convert.FromBase64String((string)single["data"]));
            case "covers":
                return PathPattern.Parse((string)single["glob"]).Covers((string)single["path"]);
            case "parse":
                try
                {
                    PathPattern pattern = PathPattern.Parse((string)single["glob"]);
                    return pattern.Root + string.Join("\\", pattern.Names);
                }
                catch (FormatException error)
                {
                    return "refused: " + error.Message;
                }
            case "servicing":
                return Service(single);
            case "exists":
                Entry entry = ReadEntry(single["entry"]);
                RecordedFiles files = new RecordedFiles(
                    new RecordedNode((Dictionary<string, object>)single["tree"]), single);
                return new HostPresence(files, null, null).Exists(entry);
            case "digest":
                return Digest(Convert.FromBase64String((string)single["data"]));
            default:
                throw new ArgumentException((string)single["do"]);
        }
    }

    private static string Digest(byte[] data)
    {
        using (IDigest digest = Digests.Sha256())
        {
            digest.Add(new byte[] { 1 }, 1);
            digest.Finish();
            digest.Add(data, data.Length);
            return BitConverter.ToString(digest.Finish()).Replace("-", "").ToLowerInvariant();
        }
    }

    private static object Program(byte[] data)
    {
        PortableExecutable program = PortableExecutable.Parse(delegate(long position, byte[] buffer)
        {
            int count = (int)Math.Max(0, Math.Min(buffer.Length, data.Length - position));
            if (count > 0)
            {
                Buffer.BlockCopy(data, (int)position, buffer, 0, count);
            }
            return count;
        });
        return program == null ? null : new List<object> { program.Company, program.Version, program.HasSignature };
    }

    private static object Collect(Dictionary<string, object> single)
    {
        RecordedNode root = new RecordedNode((Dictionary<string, object>)single["tree"]);
        RecordedFiles files = new RecordedFiles(root, single);
        Watch watch = new Watch();
        watch.Name = "watch";
        watch.Paths = Texts(single, "paths");
        watch.Exclude = Texts(single, "exclude");
        List<object> entries = new List<object>();
        ScopeCoverage coverage = new ScopeCoverage("watch");
        FileReader reader = new FileReader(files, files, files, files, new ManagedDigest());
        FileCollector collector = new FileCollector(files, files, reader, Number(single, "limit", 1000));
        collector.Collect(watch, coverage, new Deadline(0), delegate(Entry entry)
        {
            entries.Add(new List<object> { entry.Kind, entry.Path, entry.Attributes });
        });
        List<object> read = new List<object>();
        foreach (string name in files.Read)
        {
            read.Add(name);
        }
        Dictionary<string, object> result = new Dictionary<string, object>();
        result["entries"] = entries;
        result["coverage"] = coverage.Entry();
        result["read"] = read;
        return result;
    }

    private static object Judge(Dictionary<string, object> single)
    {
        SignedLikes likes = new SignedLikes(@"C:\Windows");
        List<Entry> entries = new List<Entry>();
        foreach (object fields in (List<object>)single["entries"])
        {
            Entry entry = ReadEntry(fields);
            entries.Add(entry);
            likes.Observe(entry);
        }
        SignatureJudge judge = new SignatureJudge(likes, Texts(single, "roots"));
        Dictionary<string, object> alerts = new Dictionary<string, object>();
        foreach (Entry entry in entries)
        {
            Judgement judgement = judge.JudgeEntry(entry, ReadWatch(single));
            if (judgement != null)
            {
                alerts[entry.Path] = judgement.Severity + ": " + judgement.Message;
            }
        }
        ScopeCoverage coverage = new ScopeCoverage("watch");
        likes.NoteMixed(coverage);
        return new List<object> { alerts, coverage.Entry()["skipped"] };
    }

    private static object Update(Dictionary<string, object> single)
    {
        Change change = new Change();
        change.Kind = (string)single["kind"];
        change.Before = single.ContainsKey("before") ? ReadEntry(single["before"]) : null;
        change.After = single.ContainsKey("after") ? ReadEntry(single["after"]) : null;
        change.Path = change.Current.Path;
        change.Attributes = new List<string>(Texts(single, "attributes")).ToArray();
        IList<string> roots = Texts(single, "roots");
        RecordedFiles paths = new RecordedFiles(null, single);
        Watch watch = ReadWatch(single);
        Judgement judgement =
            new SignatureJudge(new SignedLikes(@"C:\Windows"), roots).JudgeChange(change, watch) ??
            new UpdateJudge(new RecordedServicing(single), 1000, roots, paths).JudgeChange(change, watch);
        return judgement == null
            ? null
            : judgement.Alert != null ? (object)judgement.Alert
            : new List<object> { judgement.Explained, judgement.Package, judgement.Version, judgement.Message };
    }

    private static object Service(Dictionary<string, object> single)
    {
        RecordedRegistry registry = new RecordedRegistry((Dictionary<string, object>)single["registry"]);
        Servicing servicing = new Servicing(registry, new RecordedLinks(single), @"C:\Windows");
        Installation product = servicing.ProductSince((string)single["path"], 1000);
        Dictionary<string, object> result = new Dictionary<string, object>();
        result["in_store"] = servicing.IsInStore((string)single["path"]);
        List<object> updates = new List<object>();
        foreach (Installation update in servicing.UpdatesSince(1000))
        {
            updates.Add(new List<object> { update.Name, update.Version, update.Time });
        }
        result["updates"] = updates;
        result["product"] = product == null ? null : new List<object> { product.Name, product.Version };
        HostPaths paths = new HostPaths(registry);
        result["profiles"] = new List<object>(paths.Profiles);
        result["services"] = new List<object>(paths.Services);
        return result;
    }

    private static Watch ReadWatch(Dictionary<string, object> single)
    {
        IList<string> alert = Texts(single, "alert");
        Watch watch = new Watch { Paths = Texts(single, "paths") };
        watch.Alert = alert.Count == 0 ? null : alert[0];
        watch.Severity = alert.Count == 0 ? null : alert[1];
        return watch;
    }

    private static Entry ReadEntry(object fields)
    {
        Dictionary<string, object> attributes = new Dictionary<string, object>((Dictionary<string, object>)fields);
        string path = (string)attributes["path"];
        attributes.Remove("path");
        return new Entry("file", path, attributes);
    }

    internal static IList<string> Texts(Dictionary<string, object> single, string name)
    {
        List<string> texts = new List<string>();
        object value;
        if (single.TryGetValue(name, out value))
        {
            foreach (object text in (List<object>)value)
            {
                texts.Add((string)text);
            }
        }
        return texts;
    }

    internal static long Number(Dictionary<string, object> single, string name, long otherwise)
    {
        object value;
        return single.TryGetValue(name, out value) ? (long)value : otherwise;
    }
}

/// <summary>A recorded file or directory; test_files.py says what its fields are.</summary>
public sealed class RecordedNode
{
    private static long _last;

    public readonly Dictionary<string, object> Fields;
    public readonly string Name;
    public readonly long Id;
    public readonly List<RecordedNode> Children = new List<RecordedNode>();

    public RecordedNode(Dictionary<string, object> fields)
    {
        Fields = fields;
        Name = (string)fields["name"];
        Id = ++_last;
        object children;
        if (fields.TryGetValue("children", out children))
        {
            foreach (object child in (List<object>)children)
            {
                Children.Add(new RecordedNode((Dictionary<string, object>)child));
            }
        }
    }

    public bool IsDirectory
    {
        get { return Fields.ContainsKey("children"); }
    }

    public uint Attributes
    {
        get { return (uint)FileScript.Number(Fields, "attributes", IsDirectory ? 0x10 : 0x20); }
    }

    public string Text(string name)
    {
        object value;
        return Fields.TryGetValue(name, out value) ? (string)value : null;
    }
}

/// <summary>Answers of Windows that were recorded, or that its documentation describes.</summary>
public sealed class RecordedFiles : IFiles, IFileSecurity, IStreams, IAuthenticode, IHostPaths
{
    private readonly RecordedNode _root;
    private readonly Dictionary<string, object> _case;

    /// <summary>The names whose content was read.</summary>
    public readonly List<string> Read = new List<string>();

    public RecordedFiles(RecordedNode root, Dictionary<string, object> single)
    {
        _root = root;
        _case = single;
    }

    public IList<string> Profiles
    {
        get { return FileScript.Texts(_case, "profiles"); }
    }

    public ICollection<string> Services
    {
        get { return FileScript.Texts(_case, "services"); }
    }

    public string Variable(string name)
    {
        return name == "SystemRoot" ? @"C:\Windows" : null;
    }

    public uint DriveType(string root)
    {
        return root == @"C:\" ? 3u : 4u;
    }

    public int Open(IOpenFile directory, string name, FileUse use, out IOpenFile file)
    {
        return Open(directory, name, use, StringComparison.Ordinal, out file);
    }

    public int Find(IOpenFile directory, string name, FileUse use, out IOpenFile file)
    {
        return Open(directory, name, use, StringComparison.OrdinalIgnoreCase, out file);
    }

    private int Open(IOpenFile directory, string name, FileUse use, StringComparison comparison, out IOpenFile file)
    {
        file = null;
        RecordedNode node = directory == null ? _root : null;
        string behind = null;
        if (directory == null)
        {
            object volumes;
            bool isVolume = _case.TryGetValue("volumes", out volumes) && name.StartsWith("Volume");
            Dictionary<string, object> volume = isVolume ? (Dictionary<string, object>)volumes : null;
            node = isVolume ? new RecordedNode((Dictionary<string, object>)volume[name]) : node;
            foreach (string part in isVolume ? new string[0] : name.Substring(3).Split('\\'))
            {
                node = part.Length == 0 || node == null ? node : node.Children.Find(
                    delegate(RecordedNode child) { return string.Equals(child.Name, part, StringComparison.OrdinalIgnoreCase); });
            }
        }
        if (directory != null && name.Length == 0)
        {
            node = ((RecordedFile)directory).Node;
            behind = node.Text("behind");
        }
        else if (directory != null)
        {
            node = ((RecordedFile)directory).Node.Children.Find(
                delegate(RecordedNode child) { return string.Equals(child.Name, name, comparison); });
        }
        if (node == null)
        {
            return FileErrors.FileNotFound;
        }
        long error = FileScript.Number(node.Fields, use == FileUse.Content ? "content_error" : "error", 0);
        if (error != 0)
        {
            return (int)error;
        }
        file = new RecordedFile(this, node, behind ?? node.Text("content") ?? "", use);
        return 0;
    }

    int IFileSecurity.Read(IOpenFile file, out byte[] descriptor)
    {
        string recorded = ((RecordedFile)file).Node.Text("descriptor");
        descriptor = recorded == null ? null : Convert.FromBase64String(recorded);
        return recorded == null ? FileErrors.AccessDenied : 0;
    }

    int IStreams.List(IOpenFile file, ICollection<StreamItem> streams)
    {
        RecordedNode node = ((RecordedFile)file).Node;
        long error = FileScript.Number(node.Fields, "streams_error", FileScript.Number(_case, "streams_error", 0));
        if (error != 0)
        {
            return (int)error;
        }
        object recorded;
        if (node.IsDirectory && !node.Fields.ContainsKey("streams"))
        {
            return FileErrors.HandleEof;
        }
        if (!node.IsDirectory)
        {
            streams.Add(new StreamItem { Name = "::$DATA" });
        }
        if (node.Fields.TryGetValue("streams", out recorded))
        {
            foreach (KeyValuePair<string, object> stream in (Dictionary<string, object>)recorded)
            {
                int size = ((string)stream.Value).Length;
                streams.Add(new StreamItem { Name = ":" + stream.Key + ":$DATA", Size = size });
            }
        }
        return 0;
    }

    int IStreams.Open(IOpenFile file, string name, out IOpenFile stream)
    {
        RecordedNode node = ((RecordedFile)file).Node;
        Dictionary<string, object> streams = (Dictionary<string, object>)node.Fields["streams"];
        string content = (string)streams[name.Substring(1, name.Length - 7)];
        stream = new RecordedFile(this, node, content, FileUse.Content);
        return 0;
    }

    public Verification Embedded(IOpenFile file, string path)
    {
        return Recorded(((RecordedFile)file).Node, "embedded") ?? new Verification { Status = 0x800B0100 };
    }

    public Verification Catalogue(IOpenFile file, string path, Func<bool> mayGoOn, out int error)
    {
        error = (int)FileScript.Number(_case, "catalogue_error", 0);
        return error != 0 ? null : Recorded(((RecordedFile)file).Node, "catalogue");
    }

    private static Verification Recorded(RecordedNode node, string name)
    {
        if (!node.Fields.ContainsKey(name))
        {
            return null;
        }
        uint status = (uint)FileScript.Number(node.Fields, name, 0);
        return new Verification { Status = status, Signer = "Signer", Root = "AB" };
    }
}

public sealed class RecordedFile : IOpenFile
{
    public readonly RecordedNode Node;

    private readonly RecordedFiles _files;
    private readonly string _content;
    private readonly FileUse _use;
    private bool _isListed;

    public RecordedFile(RecordedFiles files, RecordedNode node, string content, FileUse use)
    {
        _files = files;
        Node = node;
        _content = content;
        _use = use;
    }

    public SafeFileHandle Handle
    {
        get { return null; }
    }

    public int Query(out FileFacts facts)
    {
        facts = new FileFacts();
        facts.Attributes = Node.Attributes;
        facts.Size = FileScript.Number(Node.Fields, "size", (Node.Text("behind") ?? Node.Text("content") ?? "").Length);
        facts.Id = (ulong)Node.Id;
        facts.Links = 1;
        return 0;
    }

    public int FinalPath(out string path)
    {
        path = @"\\?\C:\" + Node.Name;
        return 0;
    }

    public int List(ICollection<DirectoryItem> items, bool isFirst)
    {
        if (_use != FileUse.Content)
        {
            return FileErrors.AccessDenied;
        }
        if ((_isListed && !isFirst) || Node.Children.Count == 0)
        {
            return FileErrors.NoMoreFiles;
        }
        _isListed = true;
        foreach (RecordedNode child in Node.Children)
        {
            uint listed = (uint)FileScript.Number(child.Fields, "listed", child.Attributes);
            ulong id = (ulong)FileScript.Number(child.Fields, "listed_id", child.Id);
            items.Add(new DirectoryItem { Name = child.Name, Attributes = listed, Id = id });
        }
        return 0;
    }

    public int Reparse(out byte[] data)
    {
        string recorded = Node.Text("reparse");
        data = recorded == null ? null : Convert.FromBase64String(recorded);
        // ERROR_NOT_A_REPARSE_POINT.
        return recorded == null ? 4390 : 0;
    }

    public int Read(long position, byte[] buffer, out int count)
    {
        count = 0;
        if (_use != FileUse.Content)
        {
            return FileErrors.AccessDenied;
        }
        if (position == 0)
        {
            _files.Read.Add(Node.Name);
        }
        int error = (int)FileScript.Number(Node.Fields, "read_error", 0);
        byte[] content = Encoding.GetEncoding("iso-8859-1").GetBytes(_content);
        count = (int)Math.Max(0, Math.Min(buffer.Length, content.Length - position));
        if (count > 0)
        {
            Buffer.BlockCopy(content, (int)position, buffer, 0, count);
        }
        return error;
    }

    public void Dispose()
    {
    }
}

/// <summary>Records of installations: updates and products as [name, version, time].</summary>
public sealed class RecordedServicing : IServicing
{
    private readonly Dictionary<string, object> _case;

    public RecordedServicing(Dictionary<string, object> single)
    {
        _case = single;
    }

    public bool IsInStore(string path)
    {
        return (bool)_case["in_store"];
    }

    public IList<Installation> UpdatesSince(long time)
    {
        List<Installation> updates = new List<Installation>();
        foreach (object update in (List<object>)_case["updates"])
        {
            Installation installation = Read((List<object>)update);
            if (installation.Time > time)
            {
                updates.Add(installation);
            }
        }
        return updates;
    }

    public Installation ProductSince(string path, long time)
    {
        object product;
        if (!_case.TryGetValue("product", out product))
        {
            return null;
        }
        Installation installation = Read((List<object>)product);
        return installation.Time > time ? installation : null;
    }

    private static Installation Read(List<object> recorded)
    {
        return new Installation { Name = (string)recorded[0], Version = (string)recorded[1], Time = (long)recorded[2] };
    }
}

public sealed class RecordedLinks : IFileLinks
{
    private readonly Dictionary<string, object> _case;

    public RecordedLinks(Dictionary<string, object> single)
    {
        _case = single;
    }

    public int List(string path, ICollection<string> names)
    {
        foreach (string name in FileScript.Texts(_case, "links"))
        {
            names.Add(name);
        }
        return names.Count == 0 ? FileErrors.FileNotFound : 0;
    }
}

/// <summary>A recorded HKLM: paths of keys with their values, texts or numbers; "*" is the time of the last write.
/// </summary>
public sealed class RecordedRegistry : IRegistry
{
    public readonly Dictionary<string, object> Keys;

    public RecordedRegistry(Dictionary<string, object> keys)
    {
        Keys = keys;
    }

    public uint OpenRoot(string hive, out IRegistryKey key)
    {
        key = new RecordedKey(this, "");
        return RegistryStatus.Success;
    }
}

public sealed class RecordedKey : IRegistryKey
{
    private readonly RecordedRegistry _registry;
    private readonly string _path;
    private readonly List<string> _subkeys = new List<string>();
    private readonly Dictionary<string, object> _values;

    public RecordedKey(RecordedRegistry registry, string path)
    {
        _registry = registry;
        _path = path;
        object values;
        _values = registry.Keys.TryGetValue(path, out values)
            ? (Dictionary<string, object>)values
            : new Dictionary<string, object>();
        foreach (string key in registry.Keys.Keys)
        {
            if (key.StartsWith(path + "\\", StringComparison.Ordinal))
            {
                string name = key.Substring(path.Length + 1).Split('\\')[0];
                if (!_subkeys.Contains(name))
                {
                    _subkeys.Add(name);
                }
            }
        }
    }

    public uint Open(string name, bool followLink, out IRegistryKey key)
    {
        string path = _path.Length == 0 ? name : _path + "\\" + name;
        foreach (string existing in _registry.Keys.Keys)
        {
            if (existing == path || existing.StartsWith(path + "\\", StringComparison.Ordinal))
            {
                key = new RecordedKey(_registry, path);
                return RegistryStatus.Success;
            }
        }
        key = null;
        return RegistryStatus.NameNotFound;
    }

    public uint Query(out KeyInformation information)
    {
        information = new KeyInformation { LastWrite = FileScript.Number(_values, "*", 0) };
        return RegistryStatus.Success;
    }

    public uint Subkey(int index, out string name)
    {
        name = index < _subkeys.Count ? _subkeys[index] : null;
        return name == null ? RegistryStatus.NoMoreEntries : RegistryStatus.Success;
    }

    public uint Value(int index, out RegistryValue value)
    {
        List<string> names = new List<string>(_values.Keys);
        names.Remove("*");
        value = null;
        return index < names.Count ? Find(names[index], out value) : RegistryStatus.NoMoreEntries;
    }

    public uint Find(string name, out RegistryValue value)
    {
        object recorded;
        value = null;
        if (!_values.TryGetValue(name, out recorded))
        {
            return RegistryStatus.NameNotFound;
        }
        value = new RegistryValue { Name = name };
        value.Data = recorded is long
            ? BitConverter.GetBytes((uint)(long)recorded)
            : Encoding.Unicode.GetBytes((string)recorded + "\0");
        return RegistryStatus.Success;
    }

    public uint Security(out byte[] descriptor)
    {
        descriptor = null;
        return RegistryStatus.AccessDenied;
    }

    public void Dispose()
    {
    }
}
