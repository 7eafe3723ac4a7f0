// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventWriter;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SuspendedPrograms;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Simulation;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.SimulationHost;

/// <summary>What test_simulation.py needs in C#: a host in memory that records what is done on it.</summary>
public static class SimulationScript
{
    /// <summary>
    /// Simulate on one host, and return each result with what was done since the former, and what is still there. A step
    /// is {"options": ..., "check_mode": ..., "killed_at": CALL, "errors": {"CALL SUBJECT": WIN32 ERROR}}.
    /// </summary>
    public static List<object> Run(string directory, List<object> steps)
    {
        Directory.CreateDirectory(directory + "/C");
        MemoryHost host = new MemoryHost();
        List<object> results = new List<object>();
        foreach (Dictionary<string, object> step in steps)
            results.Add(Do(directory, host, step));
        return results;
    }

    private static object Do(string directory, MemoryHost host, Dictionary<string, object> step)
    {
        host.Begin(step);
        Dictionary<string, object> result;
        try
        {
            Exception unexpected;
            result = Outcome.Of(
                new ModuleCall((Dictionary<string, object>)step["options"], (bool)step["check_mode"], false),
                delegate(ModuleCall call)
                {
                    PlainStateFiles files = new PlainStateFiles(directory);
                    using (StateDirectory state = StateDirectory.Open(files, @"C:\state", "simulation", true))
                        return Simulation.Of(call, host, state);
                },
                out unexpected);
            if (unexpected is KilledException)
                result = new Dictionary<string, object> { { "killed", true } };
        }
        finally
        {
            host.IsKilled = false;
        }
        result["did"] = host.Did;
        result["paths"] = new List<object>(host.Paths.ToArray());
        result["running"] = (long)host.Running.Count;
        result["note"] = File.Exists(directory + "/C/state/simulation/made");
        return result;
    }

    private sealed class MemoryHost : ISimulationHost, ISuspendedPrograms, IEventWriter
    {
        public readonly List<object> Paths = new List<object>();
        public readonly Dictionary<int, string> Running = new Dictionary<int, string>();
        public List<object> Did;
        public bool IsKilled;
        private Dictionary<string, object> _errors;
        private long _killedAt;
        private int _count;

        public void Begin(Dictionary<string, object> step)
        {
            Did = new List<object>();
            object value;
            _killedAt = step.TryGetValue("killed_at", out value) ? (long)value : 0;
            _errors = step.TryGetValue("errors", out value)
                ? (Dictionary<string, object>)value
                : new Dictionary<string, object>();
        }

        public string Program
        {
            get { return @"C:\Windows\System32\hostname.exe"; }
        }

        public string PublicDirectory
        {
            get { return @"C:\Users\Public"; }
        }

        public ISuspendedPrograms Programs
        {
            get { return this; }
        }

        public IEventWriter Events
        {
            get { return this; }
        }

        public double Now
        {
            get { return 1000 + _count++; }
        }

        public string Token()
        {
            return "t" + (_count++);
        }

        public bool MakeDirectory(string path)
        {
            Step("directory", path);
            if (Paths.Contains(path))
                return false;
            Paths.Add(path);
            return true;
        }

        public void Copy(string from, string to)
        {
            Step("copy", to);
            Paths.Add(to);
        }

        public bool Remove(string path)
        {
            if (IsKilled)
                throw new KilledException();
            int error = Error("remove", path);
            if (error != 0)
                throw new Win32Exception(error);
            foreach (string program in Running.Values)
            {
                if (program == path)
                    throw new Win32Exception(5);
            }
            return Paths.Remove(path);
        }

        public int Start(string program, string line, int parent, out int id)
        {
            Step("start", (parent == 0 ? "" : Running[parent] + " > ") + program, line);
            id = 0;
            int error = Error("start", program);
            if (error != 0)
                return error;
            id = 100 + _count++;
            Running[id] = program;
            return 0;
        }

        public int End(int id)
        {
            if (IsKilled)
                throw new KilledException();
            Running.Remove(id);
            return 0;
        }

        public void EndBelow(string directory)
        {
            foreach (KeyValuePair<int, string> program in new Dictionary<int, string>(Running))
            {
                if (program.Value.StartsWith(directory + "\\", StringComparison.Ordinal))
                    Running.Remove(program.Key);
            }
        }

        public int Write(string source, int id, string[] texts)
        {
            Step("event", source, id.ToString(), string.Join("|", texts));
            return Error("write", source);
        }

        public void Dispose()
        {
        }

        private int Error(string call, string subject)
        {
            foreach (KeyValuePair<string, object> error in _errors)
            {
                string[] words = error.Key.Split(' ');
                if (words[0] == call && subject.EndsWith(words[1], StringComparison.Ordinal))
                    return (int)(long)error.Value;
            }
            return 0;
        }

        private void Step(params string[] did)
        {
            IsKilled = IsKilled || Did.Count + 1 == _killedAt;
            if (IsKilled)
                throw new KilledException();
            Did.Add(new List<object>(did));
        }
    }
}
