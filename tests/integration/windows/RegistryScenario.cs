// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryCollector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryFacts;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryJudge;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>
/// What test_registry.py needs in C#: it writes to the real registry as an attacker does, with the native functions
/// that take any name, and looks at it with the collector and the judge.
/// </summary>
public static class RegistryScenario
{
    private const uint AllAccess = 0xF003F;
    private const uint CreateLinkOption = 2;
    private const uint OpenLinkOption = 8;
    private const uint CaseInsensitive = 0x40;
    private const uint OpenLinkAttribute = 0x100;
    private const uint SymbolicLink = 6;

    private static readonly Dictionary<string, Entry> Before = new Dictionary<string, Entry>();

    [StructLayout(LayoutKind.Sequential)]
    private struct UnicodeString
    {
        public ushort Length;
        public ushort MaximumLength;
        public IntPtr Buffer;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ObjectAttributes
    {
        public int Length;
        public IntPtr RootDirectory;
        public IntPtr ObjectName;
        public uint Attributes;
        public IntPtr SecurityDescriptor;
        public IntPtr SecurityQualityOfService;
    }

    [DllImport("ntdll.dll")]
    private static extern uint NtCreateKey(
        out IntPtr handle, uint access, ref ObjectAttributes attributes, uint index, IntPtr name, uint options,
        out uint disposition);

    [DllImport("ntdll.dll")]
    private static extern uint NtOpenKeyEx(
        out IntPtr handle, uint access, ref ObjectAttributes attributes, uint options);

    [DllImport("ntdll.dll")]
    private static extern uint NtSetValueKey(
        IntPtr handle, ref UnicodeString name, uint index, uint type, byte[] data, int length);

    [DllImport("ntdll.dll")]
    private static extern uint NtDeleteValueKey(IntPtr handle, ref UnicodeString name);

    [DllImport("ntdll.dll")]
    private static extern uint NtDeleteKey(IntPtr handle);

    [DllImport("ntdll.dll")]
    private static extern uint NtClose(IntPtr handle);

    [DllImport("ntdll.dll")]
    private static extern uint NtSetSecurityObject(IntPtr handle, uint parts, IntPtr descriptor);

    [DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
    private static extern bool ConvertStringSecurityDescriptorToSecurityDescriptorW(
        string text, int revision, out IntPtr descriptor, IntPtr length);

    /// <summary>Create a key and what is missing above it.</summary>
    public static void Create(string path)
    {
        NtClose(Created(path, 0));
    }

    /// <summary>Write a value, in a key that is created if it is missing. REG_SZ and REG_MULTI_SZ are text.</summary>
    public static void Write(string path, string name, long type, string data)
    {
        byte[] bytes = type == 4
            ? BitConverter.GetBytes(uint.Parse(data))
            : type == 3 ? new byte[int.Parse(data)] : Encoded(data + "\0" + (type == 7 ? "\0" : ""));
        IntPtr key = Created(path, 0);
        Set(key, name, (uint)type, bytes);
        NtClose(key);
    }

    public static void DeleteValue(string path, string name)
    {
        IntPtr key = Opened(path);
        UnicodeString text = Counted(name);
        Check(NtDeleteValueKey(key, ref text), "delete value");
        NtClose(key);
    }

    /// <summary>Create a symbolic link key; the target is \Registry\Machine\...</summary>
    public static void Link(string path, string target)
    {
        IntPtr key = Created(path, CreateLinkOption);
        Set(key, "SymbolicLinkValue", SymbolicLink, Encoded(target));
        NtClose(key);
    }

    /// <summary>Replace the DACL of a key.</summary>
    public static void Protect(string path, string dacl)
    {
        IntPtr key = Opened(path);
        IntPtr descriptor;
        if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(dacl, 1, out descriptor, IntPtr.Zero))
        {
            throw new InvalidOperationException("no DACL: " + dacl);
        }
        Check(NtSetSecurityObject(key, 4, descriptor), "set DACL");
        NtClose(key);
    }

    /// <summary>Delete a key with all below it; links are deleted themselves.</summary>
    public static void Delete(string path)
    {
        IRegistryKey root;
        Check(new NativeRegistry().OpenRoot(path.Substring(0, 4).TrimEnd('\\'), out root), "open");
        using (root)
        {
            IRegistryKey key;
            if (root.Open(path.Split(new[] { '\\' }, 2)[1], false, out key) == RegistryStatus.Success)
            {
                using (key)
                {
                    DeleteBelow(key, path);
                }
                Remove(path);
            }
        }
    }

    /// <summary>Collect a watch: entries, coverage and what is wrong at first sight.</summary>
    public static JsonObject Collect(JsonObject watch, long limit)
    {
        ScopeCoverage coverage = new ScopeCoverage("watch");
        List<object> entries = new List<object>();
        RegistryJudge judge = Judge();
        Gather(watch, coverage, (int)limit, delegate(Entry entry)
        {
            Judgement judgement = judge.JudgeEntry(entry, new Watch());
            entries.Add(new List<object>
            {
                entry.Kind, entry.Path, entry.Attributes, judgement == null ? null : judgement.Alert
            });
        });
        return new JsonObject { { "entries", entries }, { "coverage", coverage.Entry() } };
    }

    /// <summary>Remember the state of all watches, and return the number of entries.</summary>
    public static long Remember(List<object> watches)
    {
        Before.Clear();
        Snapshot(watches, Before);
        return Before.Count;
    }

    /// <summary>Return what differs from what was remembered: path, kind of change and judgement.</summary>
    public static List<object> Differences(List<object> watches)
    {
        Dictionary<string, Entry> now = new Dictionary<string, Entry>();
        Snapshot(watches, now);
        RegistryJudge judge = Judge();
        List<object> differences = new List<object>();
        foreach (KeyValuePair<string, Entry> pair in now)
        {
            Entry old;
            Before.TryGetValue(pair.Key, out old);
            if (old == null || State(old) != State(pair.Value))
            {
                differences.Add(Difference(judge, old, pair.Value));
            }
        }
        foreach (KeyValuePair<string, Entry> pair in Before)
        {
            if (!now.ContainsKey(pair.Key))
            {
                differences.Add(Difference(judge, pair.Value, null));
            }
        }
        return differences;
    }

    /// <summary>Return what is wrong at first sight in all watches: path and alert.</summary>
    public static List<object> Suspicious(List<object> watches)
    {
        Dictionary<string, Entry> now = new Dictionary<string, Entry>();
        Snapshot(watches, now);
        RegistryJudge judge = Judge();
        List<object> suspicious = new List<object>();
        foreach (Entry entry in now.Values)
        {
            Judgement judgement = judge.JudgeEntry(entry, new Watch());
            if (judgement != null)
            {
                suspicious.Add(new List<object> { entry.Path, judgement.Alert, judgement.Message });
            }
        }
        return suspicious;
    }

    /// <summary>Collect a key again and again while another thread creates and deletes keys and values in it.</summary>
    public static JsonObject CollectBusy(string path, long milliseconds)
    {
        bool isOver = false;
        Exception failure = null;
        long written = 0;
        Thread writer = new Thread(delegate()
        {
            try
            {
                while (!Volatile.Read(ref isOver))
                {
                    Write(path + "\\Busy\\" + (written % 7), "v" + (written % 5), 1, "x");
                    if (written++ % 3 == 0)
                    {
                        Delete(path + "\\Busy");
                    }
                }
            }
            catch (Exception error)
            {
                failure = error;
            }
        });
        writer.Start();
        long rounds = 0;
        HashSet<string> reasons = new HashSet<string>();
        HashSet<string> values = new HashSet<string>();
        try
        {
            Stopwatch watch = Stopwatch.StartNew();
            while (watch.ElapsedMilliseconds < milliseconds)
            {
                ScopeCoverage coverage = new ScopeCoverage("watch");
                JsonObject fields = new JsonObject { { "registry", new List<object> { path } } };
                Gather(fields, coverage, 100000, delegate(Entry entry)
                {
                    if (entry.Kind == EntryKinds.Value)
                    {
                        values.Add(Json.Write(entry.Attributes));
                    }
                });
                foreach (object skip in (List<object>)coverage.Entry()["skipped"])
                {
                    reasons.Add((string)((JsonObject)skip)["reason"]);
                }
                rounds++;
            }
        }
        finally
        {
            Volatile.Write(ref isOver, true);
            writer.Join();
        }
        return new JsonObject
        {
            { "rounds", rounds }, { "written", written }, { "failure", failure == null ? null : failure.ToString() },
            { "reasons", new List<string>(reasons) }, { "values", new List<string>(values) }
        };
    }

    /// <summary>Return keys, and milliseconds of the collector and of a plain loop that reads the same.</summary>
    public static JsonObject Speed(string path, long rounds)
    {
        long keys = 0;
        List<double> plain = new List<double>();
        List<double> collecting = new List<double>();
        for (long round = 0; round < rounds; round++)
        {
            keys = 0;
            Stopwatch watch = Stopwatch.StartNew();
            IRegistryKey root;
            Check(new NativeRegistry().OpenRoot("HKLM", out root), "open");
            using (root)
            {
                IRegistryKey key;
                Check(root.Open(path.Substring(5), false, out key), "open");
                using (key)
                {
                    keys = Read(key);
                }
            }
            plain.Add(watch.Elapsed.TotalMilliseconds);
            watch.Restart();
            JsonObject fields = new JsonObject { { "registry", new List<object> { path } } };
            Gather(fields, new ScopeCoverage("watch"), 1000000, delegate(Entry entry) { });
            collecting.Add(watch.Elapsed.TotalMilliseconds);
        }
        plain.Sort();
        collecting.Sort();
        return new JsonObject { { "keys", keys }, { "plain", plain[0] }, { "collector", collecting[0] } };
    }

    public static bool HasBackupPrivilege()
    {
        return new NativeRegistry().HasBackupPrivilege;
    }

    private static long Read(IRegistryKey key)
    {
        long keys = 1;
        KeyInformation information;
        byte[] descriptor;
        RegistryValue value;
        string name;
        key.Query(out information);
        key.Security(out descriptor);
        for (int index = 0; key.Value(index, out value) == RegistryStatus.Success; index++)
        {
        }
        List<string> names = new List<string>();
        for (int index = 0; key.Subkey(index, out name) == RegistryStatus.Success; index++)
        {
            names.Add(name);
        }
        foreach (string subkey in names)
        {
            IRegistryKey child;
            if (key.Open(subkey, false, out child) == RegistryStatus.Success)
            {
                using (child)
                {
                    keys += Read(child);
                }
            }
        }
        return keys;
    }

    private static RegistryJudge Judge()
    {
        return new RegistryJudge(new HostRegistryFacts(
            new NativeRegistry(), new NativeFiles(), new NativeAuthenticode(), @"C:\windows"));
    }

    private static void Snapshot(List<object> watches, Dictionary<string, Entry> entries)
    {
        foreach (object fields in watches)
        {
            Gather((JsonObject)fields, new ScopeCoverage("watch"), 1000000, delegate(Entry entry)
            {
                entries[entry.Kind + " " + entry.Path] = entry;
            });
        }
    }

    private static string State(Entry entry)
    {
        JsonObject attributes = new JsonObject(entry.Attributes);
        attributes.Remove("last_write");
        return Json.Write(attributes);
    }

    private static List<object> Difference(RegistryJudge judge, Entry before, Entry after)
    {
        Change change = new Change { Before = before, After = after };
        change.Kind = before == null ? ChangeKinds.Created : after == null ? ChangeKinds.Deleted : ChangeKinds.Modified;
        change.Path = change.Current.Path;
        change.Attributes = new[] { "content" };
        Judgement judgement = judge.JudgeChange(change, new Watch());
        return new List<object>
        {
            change.Path, change.Kind, judgement == null ? null : judgement.Alert,
            judgement == null ? null : judgement.Severity
        };
    }

    private static void Gather(JsonObject fields, ScopeCoverage coverage, int limit, Action<Entry> emit)
    {
        Watch watch = new Watch { Name = "watch" };
        watch.Registry = Texts(fields, "registry");
        watch.Exclude = Texts(fields, "exclude");
        watch.Include = Texts(fields, "include");
        IList<string> attributes = Texts(fields, "attributes");
        watch.Attributes = attributes.Count == 0 ? null : new HashSet<string>(attributes);
        object levels;
        watch.Recurse = fields.TryGetValue("recurse", out levels) ? (int)(long)levels : -1;
        using (RegistryCollector collector = new RegistryCollector(new NativeRegistry(), limit))
        {
            collector.Collect(watch, coverage, new Deadline(60), emit);
        }
    }

    private static IList<string> Texts(JsonObject fields, string name)
    {
        object listed;
        List<string> texts = new List<string>();
        foreach (object text in fields.TryGetValue(name, out listed) ? (List<object>)listed : new List<object>())
        {
            texts.Add((string)text);
        }
        return texts;
    }

    private static void DeleteBelow(IRegistryKey key, string path)
    {
        RegistryValue link;
        if (key.Find("SymbolicLinkValue", out link) == RegistryStatus.Success)
        {
            return;
        }
        string name;
        while (key.Subkey(0, out name) == RegistryStatus.Success)
        {
            IRegistryKey child;
            string childPath = path + "\\" + name;
            if (key.Open(name, false, out child) == RegistryStatus.Success)
            {
                using (child)
                {
                    DeleteBelow(child, childPath);
                }
            }
            Remove(childPath);
        }
    }

    // Of a key whose DACL denies it, the DACL is replaced first.
    private static void Remove(string path)
    {
        IntPtr handle = Opened(path);
        uint status = NtDeleteKey(handle);
        NtClose(handle);
        if (status == RegistryStatus.AccessDenied)
        {
            Protect(path, "D:(A;;KA;;;WD)");
            handle = Opened(path);
            status = NtDeleteKey(handle);
            NtClose(handle);
        }
        Check(status, "delete");
    }

    private static IntPtr Created(string path, uint options)
    {
        IntPtr key = IntPtr.Zero;
        string[] names = path.Split('\\');
        string native = Native(names[0]);
        for (int index = 1; index < names.Length; index++)
        {
            native += "\\" + names[index];
            if (key != IntPtr.Zero)
            {
                NtClose(key);
            }
            bool isLast = index == names.Length - 1;
            uint attribute = isLast && options != 0 ? OpenLinkAttribute : 0;
            key = Call(native, attribute, delegate(ref ObjectAttributes attributes, out IntPtr handle)
            {
                uint disposition;
                return NtCreateKey(
                    out handle, AllAccess, ref attributes, 0, IntPtr.Zero, isLast ? options : 0, out disposition);
            });
        }
        return key;
    }

    // Rights to change the key itself are all that is asked for: its DACL may deny the rest.
    private static IntPtr Opened(string path)
    {
        string[] parts = path.Split(new[] { '\\' }, 2);
        return Call(Native(parts[0]) + "\\" + parts[1], OpenLinkAttribute,
            delegate(ref ObjectAttributes attributes, out IntPtr handle)
            {
                uint status = NtOpenKeyEx(out handle, AllAccess, ref attributes, OpenLinkOption);
                return status == RegistryStatus.AccessDenied
                    ? NtOpenKeyEx(out handle, 0x40000, ref attributes, OpenLinkOption)
                    : status;
            });
    }

    private delegate uint KeyFunction(ref ObjectAttributes attributes, out IntPtr handle);

    private static IntPtr Call(string name, uint attribute, KeyFunction function)
    {
        UnicodeString text = Counted(name);
        IntPtr pointer = Marshal.AllocHGlobal(Marshal.SizeOf(typeof(UnicodeString)));
        Marshal.StructureToPtr(text, pointer, false);
        ObjectAttributes attributes = new ObjectAttributes();
        attributes.Length = Marshal.SizeOf(typeof(ObjectAttributes));
        attributes.ObjectName = pointer;
        attributes.Attributes = CaseInsensitive | attribute;
        IntPtr handle;
        uint status = function(ref attributes, out handle);
        Marshal.FreeHGlobal(text.Buffer);
        Marshal.FreeHGlobal(pointer);
        Check(status, name.Length > 200 ? name.Substring(0, 200) : name);
        return handle;
    }

    private static string Native(string hive)
    {
        return hive == "HKLM" ? @"\Registry\Machine" : @"\Registry\User";
    }

    private static void Set(IntPtr key, string name, uint type, byte[] data)
    {
        UnicodeString text = Counted(name);
        Check(NtSetValueKey(key, ref text, 0, type, data, data.Length), "set value");
        Marshal.FreeHGlobal(text.Buffer);
    }

    private static UnicodeString Counted(string name)
    {
        UnicodeString text = new UnicodeString();
        text.Length = (ushort)(name.Length * 2);
        text.MaximumLength = text.Length;
        text.Buffer = Marshal.AllocHGlobal(name.Length * 2 + 2);
        Marshal.Copy(name.ToCharArray(), 0, text.Buffer, name.Length);
        return text;
    }

    private static byte[] Encoded(string text)
    {
        byte[] bytes = new byte[text.Length * 2];
        Buffer.BlockCopy(text.ToCharArray(), 0, bytes, 0, bytes.Length);
        return bytes;
    }

    private static void Check(uint status, string what)
    {
        if (status != RegistryStatus.Success)
        {
            throw new InvalidOperationException(what + " returns 0x" + status.ToString("X8"));
        }
    }
}
