// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Changes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Owners;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Review;

/// <summary>What test_file_integrity.py needs in C#.</summary>
public static class FileIntegrityScript
{
    /// <summary>Return the changes between two lists of [kind, path, attributes], and their detections.</summary>
    public static object Compare(
        List<object> before, List<object> after, List<object> present, Dictionary<string, object> watch, long limit)
    {
        Watch parsed = ToWatch(watch);
        HashSet<string> existing = new HashSet<string>();
        foreach (object path in present)
        {
            existing.Add((string)path);
        }
        Classifier classifier = new Classifier(new[] { parsed }, new List<IJudge>());
        Review review = new Review(classifier, (int)limit, null);
        Changes changes = new Changes(
            delegate(Entry entry, string name) { return !existing.Contains(entry.Path); }, review.Take);
        SortedDictionary<string, Entry> old = ByPath(before);
        SortedDictionary<string, Entry> now = ByPath(after);
        foreach (KeyValuePair<string, Entry> item in old)
        {
            Entry entry;
            if (now.TryGetValue(item.Key, out entry))
            {
                changes.Compared(parsed.Name, item.Value, entry);
            }
            else
            {
                changes.Missing(parsed.Name, item.Value);
            }
        }
        foreach (KeyValuePair<string, Entry> item in now)
        {
            if (!old.ContainsKey(item.Key))
            {
                changes.Created(parsed.Name, item.Value);
            }
        }
        changes.Finish();
        review.Finish();
        Dictionary<string, object> result = new Dictionary<string, object>();
        result["changes"] = review.Changes();
        result["detections"] = review.Detections();
        return result;
    }

    /// <summary>Return texts sorted as lines with so many bytes of memory, and how many temporary files that took.
    /// </summary>
    public static object Sort(List<object> texts, long room)
    {
        long files = 0;
        List<object> sorted = new List<object>();
        using (Sorter sorter = new Sorter(delegate { files++; return new MemoryStream(); }, room))
        {
            foreach (object text in texts)
            {
                sorter.Add(Encoding.ASCII.GetBytes((string)text));
            }
            foreach (byte[] line in sorter.Sorted())
            {
                sorted.Add(Encoding.ASCII.GetString(line));
            }
        }
        return new List<object> { sorted, files };
    }

    /// <summary>Return the watch that each entry, a list of kind and path, belongs to.</summary>
    public static object Owned(List<object> watches, List<object> entries)
    {
        List<Watch> parsed = new List<Watch>();
        foreach (object watch in watches)
        {
            parsed.Add(ToWatch((Dictionary<string, object>)watch));
        }
        Owners owners = new Owners(parsed, new TwoProfiles());
        List<object> names = new List<object>();
        foreach (List<object> entry in entries)
        {
            names.Add(owners.Owner(new Entry((string)entry[0], (string)entry[1], new Dictionary<string, object>())));
        }
        return names;
    }

    /// <summary>Write an entry as a line and read it again.</summary>
    public static object Rewritten(string kind, string path, Dictionary<string, object> attributes)
    {
        byte[] line = Lines.Write(new Entry(kind, path, attributes), "watch", "");
        RecordedEntry read = Lines.Parse(line);
        return new List<object>
        {
            read.Entry.Path, read.Entry.Kind, read.Entry.Attributes, Lines.IsMarked(line), line.Length
        };
    }

    /// <summary>
    /// Sort, write and compare so many entries; return the largest size of the managed heap in bytes, sampled, and how
    /// many differ.
    /// </summary>
    public static object Large(long count, string directory)
    {
        long peak = 0;
        long differing = 0;
        string file = Path.Combine(directory, "baseline");
        for (int round = 0; round < 2; round++)
        {
            using (Sorter sorter = new Sorter(delegate { return Temporary(directory); }, 24 << 20))
            {
                for (long i = 0; i < count; i++)
                {
                    long number = (i * 7919) % count;
                    sorter.Add(Line(number, round));
                    peak = i % 10000 == 0 ? Math.Max(peak, GC.GetTotalMemory(false)) : peak;
                }
                if (round == 0)
                {
                    using (Stream stream = File.Create(file))
                    {
                        BaselineWriter writer = new BaselineWriter(stream, new Header());
                        foreach (byte[] line in sorter.Sorted())
                        {
                            writer.Add(line);
                        }
                        writer.Finish();
                    }
                }
                else
                {
                    differing = Differing(file, sorter, ref peak);
                }
            }
        }
        return new List<object> { peak, differing };
    }

    private static long Differing(string file, Sorter sorter, ref long peak)
    {
        long differing = 0;
        long position = 0;
        using (StreamReader reader = new StreamReader(file))
        {
            reader.ReadLine();
            foreach (byte[] line in sorter.Sorted())
            {
                differing += reader.ReadLine() == Encoding.ASCII.GetString(line) ? 0 : 1;
                peak = position++ % 10000 == 0 ? Math.Max(peak, GC.GetTotalMemory(false)) : peak;
            }
        }
        return differing;
    }

    private static byte[] Line(long number, int round)
    {
        Dictionary<string, object> attributes = new Dictionary<string, object>();
        attributes["sha256"] = new string('a', 64);
        attributes["size"] = number == 5 ? number + round : number;
        attributes["dacl"] = "D:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;BU)";
        string path = "C:\\Windows\\System32\\directory" + number % 1000 + "\\file" + number + ".dll";
        return Lines.Write(new Entry(EntryKinds.File, path, attributes), "programs", "");
    }

    private static Stream Temporary(string directory)
    {
        string path = Path.Combine(directory, Guid.NewGuid().ToString("N"));
        return new FileStream(
            path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
    }

    private static Watch ToWatch(Dictionary<string, object> fields)
    {
        return ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions.Definitions
            .FromData(fields);
    }

    private static SortedDictionary<string, Entry> ByPath(List<object> items)
    {
        SortedDictionary<string, Entry> entries = new SortedDictionary<string, Entry>(StringComparer.Ordinal);
        foreach (object item in items)
        {
            List<object> fields = (List<object>)item;
            Entry entry = new Entry(
                (string)fields[0], (string)fields[1], (Dictionary<string, object>)fields[2]);
            entries[entry.Path] = entry;
        }
        return entries;
    }
}

/// <summary>A host with two accounts.</summary>
public sealed class TwoProfiles : IHostPaths
{
    public IList<string> Profiles
    {
        get { return new[] { @"C:\Users\ann", @"C:\Users\bob" }; }
    }

    public ICollection<string> Services
    {
        get { return new string[0]; }
    }

    public string Variable(string name)
    {
        return name == "SystemRoot" ? @"C:\Windows" : null;
    }
}
