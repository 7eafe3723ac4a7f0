// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Simulation
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StateErrors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Scenario;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.SimulationHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Workspace;

	/// <summary>Do what attackers do, without the harm: the work of win_attack_simulation.</summary>
	public sealed class Simulation
	{
		private const string Capability = "simulation";
		private const string Lock = "lock";
		private const string Number = "{number}";

		// Seconds. Records have the time of the last tick, every 15.6 ms on some hosts, and findings whole milliseconds.
		private const double Tick = 0.02;

		// ERROR_VIRUS_INFECTED, ERROR_VIRUS_DELETED, ERROR_ACCESS_DISABLED_BY_POLICY, ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION
		private static readonly HashSet<int> Refusals = new HashSet<int> { 225, 226, 1260, 4551 };

		private readonly ISimulationHost _host;
		private readonly StateDirectory _state;
		private readonly Workspace _workspace;

		private Simulation(ISimulationHost host, StateDirectory state)
		{
			_host = host;
			_state = state;
			_workspace = new Workspace(host, state);
		}

		/// <summary>Return what was done for each alert. Raises UsageException, HostException and StateException.</summary>
		public static Dictionary<string, object> Of(ModuleCall call, ISimulationHost host)
		{
			List<Scenario> scenarios = Read(call);
			if (call.CheckMode)
				return Foreseen(scenarios);
			string root = call.Text("state_dir") ?? StateDirectory.DefaultRoot();
			using (StateDirectory state = StateDirectory.Open(root, Capability, scenarios.Count > 0))
				return state == null ? Result(new List<object>(), host.Now) : Of(call, host, state, scenarios);
		}

		/// <summary>The same with the directory of its state.</summary>
		public static Dictionary<string, object> Of(ModuleCall call, ISimulationHost host, StateDirectory state)
		{
			List<Scenario> scenarios = Read(call);
			return call.CheckMode ? Foreseen(scenarios) : Of(call, host, state, scenarios);
		}

		private static Dictionary<string, object> Of(
			ModuleCall call, ISimulationHost host, StateDirectory state, List<Scenario> scenarios)
		{
			using (state.Lock(Lock, call.Number("lock_timeout")))
			{
				Simulation simulation = new Simulation(host, state);
				List<string> left = simulation._workspace.RemoveLeft();
				if (left.Count > 0)
					throw new HostException(
						"a simulation that was cut off left something: " + string.Join("; ", left.ToArray())
						+ "; remove it, and simulate again");
				double started = host.Now - Tick;
				List<object> done = new List<object>();
				foreach (Scenario scenario in scenarios)
					done.Add(simulation.Simulate(scenario));
				return Result(done, started);
			}
		}

		private static List<Scenario> Read(ModuleCall call)
		{
			List<Scenario> scenarios = new List<Scenario>();
			foreach (Dictionary<string, object> content in (call.Params["_simulations"] as List<object>) ?? new List<object>())
				scenarios.Add(new Scenario(content));
			if (!call.Flag("confirm") && !call.CheckMode)
				throw new UsageException(
					"confirm must be true: the simulation of " + scenarios.Count.ToString(CultureInfo.InvariantCulture)
					+ " alerts makes processes with the names and command lines of attackers' tools on this host, and ends"
					+ " them; nothing is harmed, but other security software may react");
			return scenarios;
		}

		private static Dictionary<string, object> Foreseen(List<Scenario> scenarios)
		{
			List<object> foreseen = new List<object>();
			foreach (Scenario scenario in scenarios)
				foreseen.Add(new Dictionary<string, object>
				{
					{ "alert", scenario.Alert }, { "status", "foreseen" }, { "steps", (long)scenario.Steps },
				});
			return Result(foreseen, null);
		}

		private static Dictionary<string, object> Result(List<object> simulations, object started)
		{
			return new Dictionary<string, object>
			{
				{ "changed", simulations.Count > 0 }, { "simulations", simulations }, { "started", started },
			};
		}

		private Dictionary<string, object> Simulate(Scenario scenario)
		{
			string mark = Scenario.Mark + "-" + _host.Token();
			Dictionary<string, object> result = new Dictionary<string, object>
			{
				{ "alert", scenario.Alert }, { "status", "done" }, { "from", _host.Now - Tick },
				{ "marks", new List<object> { mark } },
			};
			List<object> ids = new List<object>();
			try
			{
				Do(scenario, mark, ids);
			}
			catch (RefusedException error)
			{
				result["refused"] = error.Message;
			}
			catch (Exception error)
			{
				if (!StateErrors.IsExpected(error) && !(error is StateException))
					throw;
				result["status"] = "failed";
				result["reason"] = error.Message;
			}
			result["pids"] = ids;
			result["left"] = new List<object>(_workspace.Remove().ToArray());
			result["to"] = _host.Now;
			return result;
		}

		private void Do(Scenario scenario, string mark, List<object> ids)
		{
			string own = _state.Path + "\\" + mark;
			string shared = _host.PublicDirectory + "\\" + mark;
			MakePrograms(scenario, own, shared);
			foreach (ProgramRun run in scenario.Runs)
				Run(run, own, run.IsPublic ? shared : own, ids);
			foreach (WrittenEvent written in scenario.Written)
			{
				// So that the finding of one simulation is told from that of another.
				List<string> texts = new List<string>(written.Texts) { mark };
				for (int time = 0; time < written.Times; time++)
					Check(_host.Events.Write(written.Source, written.Id, texts.ToArray()), written.Source);
			}
		}

		private void MakePrograms(Scenario scenario, string own, string shared)
		{
			List<string> directories = new List<string>();
			List<string> programs = new List<string>();
			foreach (ProgramRun run in scenario.Runs)
			{
				Add(run.IsPublic ? shared : own, run.Name, directories, programs);
				foreach (string parent in run.Under)
					Add(own, parent, directories, programs);
			}
			if (programs.Count > 0)
				_workspace.Make(directories, programs);
		}

		private static void Add(string directory, string name, List<string> directories, List<string> programs)
		{
			string path = directory;
			foreach (string part in name.Split('\\'))
			{
				if (!directories.Contains(path))
					directories.Add(path);
				path += "\\" + part;
			}
			if (!programs.Contains(path))
				programs.Add(path);
		}

		private void Run(ProgramRun run, string own, string directory, List<object> ids)
		{
			List<int> made = new List<int>();
			try
			{
				int parent = 0;
				foreach (string name in run.Under)
					made.Add(parent = Start(own + "\\" + name, "\"" + own + "\\" + name + "\"", parent, ids));
				for (int time = 0; time < run.Times; time++)
				{
					string line = run.Line.Replace(Number, time.ToString(CultureInfo.InvariantCulture));
					made.Add(Start(directory + "\\" + run.Name, line, parent, ids));
				}
			}
			finally
			{
				for (int index = made.Count - 1; index >= 0; index--)
					_host.Programs.End(made[index]);
			}
		}

		private int Start(string program, string line, int parent, List<object> ids)
		{
			int id;
			Check(_host.Programs.Start(program, line, parent, out id), program);
			ids.Add((long)id);
			return id;
		}

		private static void Check(int error, string subject)
		{
			if (error == 0)
				return;
			string message = subject + ": " + new Win32Exception(error).Message.TrimEnd('.');
			if (Refusals.Contains(error))
				throw new RefusedException(message);
			throw new Win32Exception(error, message);
		}
	}

	/// <summary>The host's security software does not let a program be made.</summary>
	internal sealed class RefusedException : Exception
	{
		public RefusedException(string message)
			: base(message)
		{
		}
	}
}
