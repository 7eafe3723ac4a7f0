// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventWriter;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SuspendedPrograms;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Simulation;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.SimulationHost;

/// <summary>What test_simulation.py needs in C#: the module's work, watched while its programs are there.</summary>
public static class SimulationScenario
{
    /// <summary>
    /// Simulate, and return the result with what was seen of each program some time after its start. The process is
    /// killed after so many starts; 0 for never.
    /// </summary>
    public static Dictionary<string, object> Simulate(Dictionary<string, object> options, long killedAfter)
    {
        return Simulate(options, killedAfter, null);
    }

    /// <summary>The same with copies of another program.</summary>
    public static Dictionary<string, object> Simulate(
        Dictionary<string, object> options, long killedAfter, string program)
    {
        using (NativeSimulationHost native = new NativeSimulationHost())
        {
            WatchedHost host = new WatchedHost(native, killedAfter, program);
            Exception unexpected;
            Dictionary<string, object> result = Outcome.Of(
                new ModuleCall(options, false, false),
                delegate(ModuleCall call) { return Simulation.Of(call, host); }, out unexpected);
            result["seen"] = host.Seen;
            if (unexpected != null)
                result["trace"] = unexpected.ToString();
            return result;
        }
    }

    /// <summary>Run a copy of a program as any program runs, and wait for its end.</summary>
    public static void Run(string program, string copy, string arguments)
    {
        File.Copy(program, copy);
        ProcessStartInfo start = new ProcessStartInfo(copy, arguments);
        start.UseShellExecute = false;
        using (Process process = Process.Start(start))
            process.WaitForExit(30000);
        File.Delete(copy);
    }

    public static bool Exists(string path)
    {
        return File.Exists(path);
    }

    /// <summary>Return what is below a directory, and how many processes have a program of such a name.</summary>
    public static List<object> Left(string directory, string process)
    {
        List<object> left = new List<object>();
        if (Directory.Exists(directory))
        {
            foreach (string path in Directory.GetFileSystemEntries(directory, "*", SearchOption.AllDirectories))
                left.Add(path);
        }
        foreach (Process running in Process.GetProcessesByName(process))
            left.Add(running.ProcessName);
        return left;
    }

    private sealed class WatchedHost : ISimulationHost, ISuspendedPrograms
    {
        public readonly List<object> Seen = new List<object>();
        private readonly ISimulationHost _host;
        private readonly long _killedAfter;
        private readonly string _program;

        public WatchedHost(ISimulationHost host, long killedAfter, string program)
        {
            _host = host;
            _killedAfter = killedAfter;
            _program = program;
        }

        public string Program
        {
            get { return _program ?? _host.Program; }
        }

        public string PublicDirectory
        {
            get { return _host.PublicDirectory; }
        }

        public ISuspendedPrograms Programs
        {
            get { return this; }
        }

        public IEventWriter Events
        {
            get { return _host.Events; }
        }

        public double Now
        {
            get { return _host.Now; }
        }

        public string Token()
        {
            return _host.Token();
        }

        public bool MakeDirectory(string path)
        {
            return _host.MakeDirectory(path);
        }

        public void Copy(string from, string to)
        {
            _host.Copy(from, to);
        }

        public bool Remove(string path)
        {
            return _host.Remove(path);
        }

        public int Start(string program, string line, int parent, out int id)
        {
            int error = _host.Programs.Start(program, line, parent, out id);
            if (error != 0)
                return error;
            // A program that does run is long done then.
            if (_program != null)
                Thread.Sleep(1000);
            using (Process process = Process.GetProcessById(id))
                Seen.Add(process.HasExited ? "ended" : process.ProcessName);
            if (Seen.Count == _killedAfter)
                Process.GetCurrentProcess().Kill();
            return 0;
        }

        public int End(int id)
        {
            int error = _host.Programs.End(id);
            bool isThere = true;
            try
            {
                using (Process process = Process.GetProcessById(id))
                    isThere = !process.HasExited;
            }
            catch (ArgumentException)
            {
                isThere = false;
            }
            if (isThere)
                Seen.Add("still there: " + id);
            return error;
        }

        public void EndBelow(string directory)
        {
            _host.Programs.EndBelow(directory);
        }

        public void Dispose()
        {
        }
    }
}
