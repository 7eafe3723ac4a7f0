// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Payload;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Collect;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Views;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxFile;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.RuleSet;
using JsonObject = System.Collections.Generic.Dictionary<string, object>;

/// <summary>
/// Events look CONTENT LOG: a look at a log; views CONTENT FILE LOG...: their views into a file, each a line
/// [source, view]; match CONTENT VIEWS ROUNDS: these views against the rules, the quickest round and the matches. The
/// first and the last print JSON.
/// </summary>
public static class Events
{
    public static int Main(string[] arguments)
    {
        string content = File.ReadAllText(arguments[1]);
        using (StreamWriter output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)))
        {
            if (arguments[0] == "look")
                output.WriteLine(Json.Write(Look(content, arguments[2])));
            else if (arguments[0] == "views")
                Show(new RuleSet(Payload.Unpack(content)), arguments);
            else
                output.WriteLine(Json.Write(Match(content, arguments[2], int.Parse(arguments[3]))));
        }
        return 0;
    }

    private static JsonObject Look(string content, string log)
    {
        JsonObject options = new JsonObject
        {
            { "state_dir", "C:\\state" }, { "paths", new List<object> { log } }, { "since", null },
            { "max_findings", 1000L }, { "time_budget", 0L }, { "_content", content }, { "_token", null },
            { "_advance", false }, { "_recording", null },
        };
        JsonObject result = new Collect(new ModuleCall(options, false, false), new NoEventLog(), new NativeStateFiles()).Run();
        return new JsonObject
        {
            { "figures", result["audit_events"] }, { "coverage", result["coverage"] },
            { "findings", (long)((List<object>)result["detections"]).Count },
        };
    }

    private static void Show(RuleSet rules, string[] arguments)
    {
        using (StreamWriter output = new StreamWriter(arguments[2], false, new UTF8Encoding(false)))
        {
            for (int index = 3; index < arguments.Length; index++)
            {
                Views views = new Views(rules.Sources);
                using (Stream stream = File.OpenRead(arguments[index]))
                {
                    foreach (EventRecord record in new EvtxFile(stream).Read(new EvtxProblems()))
                    {
                        foreach (EventView view in views.Of(record))
                            output.WriteLine(Json.Write(new List<object> { view.Source, view.Fields }));
                    }
                }
            }
        }
    }

    private static JsonObject Match(string content, string file, int rounds)
    {
        RuleSet rules = new RuleSet(Payload.Unpack(content));
        List<KeyValuePair<string, JsonObject>> views = new List<KeyValuePair<string, JsonObject>>();
        foreach (string line in File.ReadAllLines(file))
        {
            List<object> pair = (List<object>)Json.Parse(line);
            JsonObject view = new JsonObject();
            foreach (KeyValuePair<string, object> field in (JsonObject)pair[1])
            {
                List<object> texts = field.Value as List<object>;
                view[field.Key] = texts == null ? field.Value : texts.ConvertAll(text => (string)text);
            }
            views.Add(new KeyValuePair<string, JsonObject>((string)pair[0], view));
        }
        double best = double.MaxValue;
        List<object> matches = null;
        for (int round = 0; round < rounds; round++)
        {
            matches = new List<object>(views.Count);
            TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
            foreach (KeyValuePair<string, JsonObject> view in views)
                matches.Add(rules.Match(view.Key, view.Value));
            best = Math.Min(best, (Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds);
        }
        List<object> numbers = matches.ConvertAll(
            match => (object)new List<int>((int[])match).ConvertAll(number => (object)(long)number));
        return new JsonObject { { "seconds", best }, { "matches", numbers } };
    }

    private sealed class NoEventLog : IEventLog
    {
        public int Read(string channel, out LogState state)
        {
            throw new NotSupportedException();
        }

        public int Export(string channel, string query, string path)
        {
            throw new NotSupportedException();
        }

        public IDictionary<string, string> Volumes()
        {
            throw new NotSupportedException();
        }

        public IList<string> Names()
        {
            return new[] { "host.example" };
        }
    }
}
