// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Checkpoint;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;

/// <summary>What test_state.py and test_checkpoint.py need in C#: several steps on state in plain files.</summary>
public static class StateScript
{
    private const string Root = "C:\\state";

    /// <summary>
    /// Open the state once, with what the host has, and do steps: write, read, remove, names. Returns the results.
    /// </summary>
    public static List<object> Open(string directory, Dictionary<string, object> host, string root, bool create,
        List<object> steps)
    {
        PlainStateFiles files = Prepare(directory, host);
        List<object> results = new List<object>();
        using (StateDirectory state = StateDirectory.Open(files, root, "part", create))
        {
            if (state == null)
                return null;
            foreach (object step in steps)
                results.Add(Do(state, (List<object>)step));
        }
        return results;
    }

    /// <summary>
    /// Write a file again and again, killed at the first call, then at the second and so on, until it is not killed.
    /// Returns what the file holds after each: the former or the new content.
    /// </summary>
    public static List<object> KillEverywhere(string directory, string former, string content)
    {
        List<object> results = new List<object>();
        for (int call = 1; ; call++)
        {
            string workspace = directory + "/" + call;
            Directory.CreateDirectory(workspace + "/C");
            PlainStateFiles files = new PlainStateFiles(workspace);
            using (StateDirectory state = StateDirectory.Open(files, Root, "part", true))
                state.Write("file", Encoding.UTF8.GetBytes(former));
            PlainStateFiles killed = new PlainStateFiles(workspace) { KilledAt = call };
            bool isKilled = false;
            try
            {
                using (StateDirectory state = StateDirectory.Open(killed, Root, "part", true))
                    state.Write("file", Encoding.UTF8.GetBytes(content));
            }
            catch (KilledException)
            {
                isKilled = true;
            }
            using (StateDirectory state = StateDirectory.Open(files, Root, "part", true))
            {
                results.Add(Content(state, "file"));
                // The next run is not held up by what the killed one left.
                state.Write("file", Encoding.UTF8.GetBytes("next"));
                results.Add(Content(state, "file") + " " + state.Names().Count);
            }
            if (!isKilled)
                return results;
        }
    }

    /// <summary>
    /// Replace a file that somebody reads, once whole and then killed at each of the last calls; returns what is read
    /// afterwards, and the number of files.
    /// </summary>
    public static List<object> ReplaceWhatIsRead(string directory)
    {
        List<object> results = new List<object>();
        int calls = 0;
        for (int left = 0; left < 5; left++)
        {
            string workspace = directory + "/" + left;
            Directory.CreateDirectory(workspace + "/C");
            PlainStateFiles files = new PlainStateFiles(workspace);
            using (StateDirectory state = StateDirectory.Open(files, Root, "part", true))
                state.Write("file", Encoding.UTF8.GetBytes("former"));
            PlainStateFiles killed = new PlainStateFiles(workspace) { IsRead = Root + "\\part\\file" };
            killed.KilledAt = left == 0 ? 0 : calls - left + 1;
            try
            {
                using (StateDirectory state = StateDirectory.Open(killed, Root, "part", true))
                    state.Write("file", Encoding.UTF8.GetBytes("new"));
            }
            catch (KilledException)
            {
            }
            calls = left == 0 ? killed.Calls : calls;
            using (StateDirectory state = StateDirectory.Open(files, Root, "part", true))
            {
                string read = Content(state, "file");
                state.Write("file", Encoding.UTF8.GetBytes("next"));
                results.Add(read + " " + Content(state, "file"));
                state.Remove("file");
                results.Add(Content(state, "file") == null);
            }
        }
        return results;
    }

    /// <summary>Lock twice; returns the message of the second attempt, then whether it works after the first ended.
    /// </summary>
    public static List<object> LockTwice(string directory)
    {
        Directory.CreateDirectory(directory + "/C");
        PlainStateFiles files = new PlainStateFiles(directory);
        List<object> results = new List<object>();
        using (StateDirectory state = StateDirectory.Open(files, Root, "part", true))
        {
            using (state.Lock("lock", 0))
            {
                try
                {
                    state.Lock("lock", 0.2).Dispose();
                }
                catch (StateException error)
                {
                    results.Add(error.Message);
                }
            }
            state.Lock("lock", 0).Dispose();
            results.Add("locked");
        }
        return results;
    }

    /// <summary>Read a file that Windows denies some times.</summary>
    public static string ReadWhatIsDenied(string directory, long denials)
    {
        Directory.CreateDirectory(directory + "/C");
        PlainStateFiles files = new PlainStateFiles(directory);
        using (StateDirectory state = StateDirectory.Open(files, Root, "part", true))
        {
            state.Write("file", Encoding.UTF8.GetBytes("content"));
            files.Denials = (int)denials;
            return Content(state, "file");
        }
    }

    /// <summary>Run a scenario of checkpoints, as test_checkpoint.py does in Python; returns its records.</summary>
    public static List<object> Checkpoints(string directory, List<object> steps)
    {
        Directory.CreateDirectory(directory + "/C");
        PlainStateFiles files = new PlainStateFiles(directory);
        string below = files.Local(Root) + "/checkpoints/";
        List<string> tokens = new List<string>();
        List<object> records = new List<object>();
        Checkpoint checkpoint = null;
        foreach (object element in steps)
        {
            List<object> step = (List<object>)element;
            string token = step.Count > 2 ? Token(tokens, step[2]) : null;
            switch ((string)step[0])
            {
                case "load":
                    records.Add(Load(files, (string)step[1], token, (bool)step[3], out checkpoint));
                    break;
                case "save":
                    records.Add(Save(checkpoint, (Dictionary<string, object>)step[1], tokens));
                    break;
                case "files":
                    records.Add(Labels(below, tokens));
                    break;
                default:
                    Change((string)step[0], below + step[1] + "-" + token, step);
                    break;
            }
        }
        return records;
    }

    private static PlainStateFiles Prepare(string directory, Dictionary<string, object> host)
    {
        PlainStateFiles files = new PlainStateFiles(directory);
        foreach (KeyValuePair<string, object> path in host)
        {
            Dictionary<string, object> facts = (Dictionary<string, object>)path.Value;
            object value;
            if (facts.TryGetValue("descriptor", out value))
                files.Descriptors[path.Key] = (string)value;
            if (facts.TryGetValue("final", out value))
                files.FinalPaths[path.Key] = (string)value;
            if (facts.TryGetValue("space", out value))
                files.Space = (long)value;
            if (facts.ContainsKey("link"))
                files.Links.Add(path.Key);
            else if (facts.ContainsKey("file"))
                File.WriteAllText(files.Local(path.Key), "");
            else
                Directory.CreateDirectory(files.Local(path.Key));
        }
        return files;
    }

    private static string Content(StateDirectory state, string name)
    {
        using (Stream stream = state.OpenRead(name))
            return stream == null ? null : new StreamReader(stream).ReadToEnd();
    }

    private static object Do(StateDirectory state, List<object> step)
    {
        string name = step.Count > 1 ? (string)step[1] : null;
        try
        {
            switch ((string)step[0])
            {
                case "write":
                    state.Write(name, Encoding.UTF8.GetBytes((string)step[2]));
                    return null;
                case "read":
                    return Content(state, name);
                case "remove":
                    return state.Remove(name);
                default:
                    List<string> names = new List<string>(state.Names());
                    names.Sort(string.CompareOrdinal);
                    return names;
            }
        }
        catch (StateException error)
        {
            return error.GetType().Name + ": " + error.Message;
        }
    }

    private static Dictionary<string, object> Load(
        PlainStateFiles files, string name, string token, bool advance, out Checkpoint checkpoint)
    {
        checkpoint = null;
        Dictionary<string, object> record = new Dictionary<string, object>();
        try
        {
            checkpoint = Checkpoint.Load(files, Root, name, token, advance, "checkpoints");
        }
        catch (Exception error)
        {
            record["error"] = error.Message;
            return record;
        }
        record["known"] = checkpoint.Known;
        record["state"] = checkpoint.State;
        record["problem"] = checkpoint.Problem;
        return record;
    }

    private static object Save(Checkpoint checkpoint, Dictionary<string, object> state, List<string> tokens)
    {
        Dictionary<string, object> saved = checkpoint.Save(state);
        if (saved == null)
            return null;
        string token = (string)saved["token"];
        tokens.Add(token);
        object after = saved["after"];
        saved["token"] = "$" + tokens.Count;
        saved["after"] = after == null ? null : "$" + (tokens.IndexOf((string)after) + 1);
        saved["same_lineage"] = after == null ? null : (object)(token.Substring(0, 16) == ((string)after).Substring(0, 16));
        return saved;
    }

    private static List<object> Labels(string below, List<string> tokens)
    {
        List<string> labels = new List<string>();
        foreach (string file in Directory.GetFiles(below))
        {
            string name = Path.GetFileName(file);
            int index = tokens.FindIndex(delegate(string token) { return name.EndsWith(token, StringComparison.Ordinal); });
            if (name != "lock")
                labels.Add(index < 0 ? name : "$" + (index + 1));
        }
        labels.Sort(string.CompareOrdinal);
        return new List<object>(labels.ToArray());
    }

    private static string Token(List<string> tokens, object value)
    {
        string text = (string)value;
        bool isLabel = text != null && text.StartsWith("$", StringComparison.Ordinal);
        return isLabel ? tokens[Int32.Parse(text.Substring(1)) - 1] : text;
    }

    private static void Change(string kind, string file, List<object> step)
    {
        if (kind == "remove")
            File.Delete(file);
        else if (kind == "add")
            File.WriteAllText(file, "x");
        else if (kind == "at")
            File.SetLastWriteTimeUtc(file, new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddSeconds((long)step[3]));
        else
        {
            using (FileStream stream = new FileStream(file, FileMode.Open))
            {
                if (kind == "damage")
                {
                    stream.Seek(-1, SeekOrigin.End);
                    stream.WriteByte(0);
                }
                else
                    stream.SetLength(kind == "cut" ? stream.Length - 1 : 64 * 1024 * 1024 + 1);
            }
        }
    }
}
