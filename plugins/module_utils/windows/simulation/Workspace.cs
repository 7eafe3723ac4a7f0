// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Workspace
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.StateErrors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.SimulationHost;

	/// <summary>
	/// What simulations made: each path is noted before it is made, so that the next run removes what a killed one left.
	/// </summary>
	public sealed class Workspace
	{
		private const string Note = "made";

		private readonly ISimulationHost _host;
		private readonly StateDirectory _state;
		private readonly List<string> _made = new List<string>();

		public Workspace(ISimulationHost host, StateDirectory state)
		{
			_host = host;
			_state = state;
		}

		/// <summary>Remove what an earlier run left; return a sentence for each path that is still there.</summary>
		public List<string> RemoveLeft()
		{
			byte[] note = _state.Read(Note);
			if (note == null)
				return new List<string>();
			foreach (object path in (List<object>)Json.Parse(Encoding.UTF8.GetString(note)))
				_made.Add((string)path);
			foreach (string path in _made)
				_host.Programs.EndBelow(path);
			return Remove();
		}

		/// <summary>Make directories and copies of the harmless program.</summary>
		public void Make(List<string> directories, List<string> programs)
		{
			_made.AddRange(directories);
			_made.AddRange(programs);
			_state.Write(Note, Encoding.UTF8.GetBytes(Json.Write(new List<object>(_made.ToArray()))));
			foreach (string directory in directories)
				if (!_host.MakeDirectory(directory))
					throw new IOException(directory + " is there already");
			foreach (string program in programs)
				_host.Copy(_host.Program, program);
		}

		/// <summary>Remove all that was made; return a sentence for each path that is still there.</summary>
		public List<string> Remove()
		{
			List<string> left = new List<string>();
			for (int index = _made.Count - 1; index >= 0; index--)
			{
				try
				{
					_host.Remove(_made[index]);
				}
				catch (Exception error)
				{
					if (!StateErrors.IsExpected(error))
						throw;
					left.Insert(0, _made[index] + " could not be removed: " + error.Message.TrimEnd('.'));
				}
			}
			if (left.Count == 0)
			{
				_made.Clear();
				_state.Remove(Note);
			}
			return left;
		}
	}
}
