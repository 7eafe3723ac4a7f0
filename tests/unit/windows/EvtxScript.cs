// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxFile;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>What test_evtx.py needs in C#: a log read as a whole, and copies of it with damage.</summary>
public static class EvtxScript
{
    private const int HeaderSize = 4096;

    public static JsonObject Read(byte[] file)
    {
        EvtxProblems problems = new EvtxProblems();
        List<object> records = new List<object>();
        foreach (EventRecord record in new EvtxFile(new MemoryStream(file)).Read(problems))
        {
            records.Add(record);
        }
        return new JsonObject { { "records", records }, { "problems", problems } };
    }

    /// <summary>Return how much was read of a log, without its texts.</summary>
    public static JsonObject Measure(byte[] file)
    {
        EvtxProblems problems = new EvtxProblems();
        long records = 0, fields = 0, characters = 0;
        foreach (EventRecord record in new EvtxFile(new MemoryStream(file)).Read(problems))
        {
            records++;
            fields += record.Fields.Count;
            foreach (KeyValuePair<string, object> field in record.Fields)
            {
                characters += field.Value is string ? ((string)field.Value).Length : 0;
            }
        }
        return new JsonObject
        {
            { "records", records }, { "fields", fields }, { "characters", characters }, { "problems", problems }
        };
    }

    /// <summary>
    /// Read this many damaged copies. "silent" has the seeds of those that gave other records than the log without a
    /// problem, "partly" says how many gave some of its records.
    /// </summary>
    public static JsonObject Damage(byte[] file, long count)
    {
        List<string> whole = Records(file, new EvtxProblems());
        List<object> silent = new List<object>();
        long partly = 0;
        for (int seed = 0; seed < count; seed++)
        {
            EvtxProblems problems = new EvtxProblems();
            List<string> records = Records(Damaged(file, seed), problems);
            bool isEqual = string.Join("\n", records) == string.Join("\n", whole);
            if (!isEqual && !problems.IsIncomplete && problems.Checksums == 0)
            {
                silent.Add((long)seed);
            }
            partly += !isEqual && records.Count > 0 ? 1 : 0;
        }
        return new JsonObject { { "silent", silent }, { "partly", partly } };
    }

    private static List<string> Records(byte[] file, EvtxProblems problems)
    {
        List<string> records = new List<string>();
        foreach (EventRecord record in new EvtxFile(new MemoryStream(file)).Read(problems))
        {
            List<string> texts = new List<string> { record.Channel, record.Provider, record.Computer, record.UserSid };
            texts.Add(record.RecordId + " " + record.EventId + " " + record.Time + " " + record.Keywords);
            foreach (KeyValuePair<string, object> field in record.Fields)
            {
                List<string> list = field.Value as List<string>;
                texts.Add(field.Key + "=" + (list == null ? field.Value : string.Join("|", list)));
            }
            records.Add(string.Join("\t", texts));
        }
        records.Sort(string.CompareOrdinal);
        return records;
    }

    private static byte[] Damaged(byte[] file, int seed)
    {
        byte[] bytes = (byte[])file.Clone();
        Random random = new Random(seed);
        switch (seed % 6)
        {
            case 0:
                for (int flips = random.Next(1, 50); flips > 0; flips--)
                {
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                }
                break;
            case 1:
                Array.Resize(ref bytes, random.Next(bytes.Length));
                break;
            case 2:
                int start = random.Next(bytes.Length);
                Array.Clear(bytes, start, Math.Min(random.Next(1, 70000), bytes.Length - start));
                break;
            case 3:
                // Chunks or sectors, or parts of records, in the place of others.
                int unit = random.Next(3) == 0 ? 65536 : random.Next(2) == 0 ? 512 : random.Next(4, 300);
                int units = (bytes.Length - HeaderSize) / unit;
                int target = HeaderSize + unit * random.Next(units);
                Buffer.BlockCopy(file, HeaderSize + unit * random.Next(units), bytes, target, unit);
                break;
            case 4:
                for (int changes = random.Next(1, 2000); changes > 0; changes--)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }
                break;
            default:
                // Tokens and types where others are.
                byte[] tokens = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 0x21, 0x41, 0x81, 0x93, 0xFF };
                for (int changes = random.Next(1, 200); changes > 0; changes--)
                {
                    bytes[HeaderSize + random.Next(16384)] = tokens[random.Next(tokens.Length)];
                }
                break;
        }
        return bytes;
    }
}
