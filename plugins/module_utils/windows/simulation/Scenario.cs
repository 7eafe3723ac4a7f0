// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Scenario
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;

	/// <summary>A program with a command line, so many times. Under: its parents, the outermost first.</summary>
	public sealed class ProgramRun
	{
		public string Name;
		public string Line;
		public readonly List<string> Under = new List<string>();

		/// <summary>Whether it is in a directory of the profile that all accounts share.</summary>
		public bool IsPublic;
		public int Times;
	}

	/// <summary>An event in the log Application, so many times.</summary>
	public sealed class WrittenEvent
	{
		public string Source;
		public int Id;
		public readonly List<string> Texts = new List<string>();
		public int Times;
	}

	/// <summary>
	/// The simulation of one alert, as plugin_utils/simulation/windows.py has checked it. Checked again is what makes it
	/// harmless: where programs are made, and whose events are written.
	/// </summary>
	public sealed class Scenario
	{
		public const string Mark = "bulwark-simulation";

		public readonly string Alert;
		public readonly List<ProgramRun> Runs = new List<ProgramRun>();
		public readonly List<WrittenEvent> Written = new List<WrittenEvent>();

		/// <summary>Raises UsageException.</summary>
		public Scenario(Dictionary<string, object> content)
		{
			Alert = (string)content["alert"];
			foreach (Dictionary<string, object> run in (List<object>)content["runs"])
				Runs.Add(Run(run));
			foreach (Dictionary<string, object> written in (List<object>)content["written"])
				Written.Add(Event(written));
		}

		/// <summary>How many programs it starts and events it writes.</summary>
		public int Steps
		{
			get
			{
				int steps = 0;
				foreach (ProgramRun run in Runs)
					steps += run.Times + run.Under.Count;
				foreach (WrittenEvent written in Written)
					steps += written.Times;
				return steps;
			}
		}

		private static ProgramRun Run(Dictionary<string, object> content)
		{
			ProgramRun run = new ProgramRun();
			run.Name = Name((string)content["name"]);
			run.Line = (string)content["line"];
			foreach (object parent in (List<object>)content["under"])
				run.Under.Add(Name((string)parent));
			run.IsPublic = (string)content["directory"] == "public";
			run.Times = Times(content);
			return run;
		}

		private static WrittenEvent Event(Dictionary<string, object> content)
		{
			WrittenEvent written = new WrittenEvent();
			written.Source = (string)content["source"];
			if (!written.Source.EndsWith(Mark, StringComparison.Ordinal))
				throw new UsageException("the source " + written.Source + " is not named after " + Mark);
			written.Id = Convert.ToInt32(content["id"], CultureInfo.InvariantCulture);
			foreach (object text in (List<object>)content["texts"])
				written.Texts.Add((string)text);
			written.Times = Times(content);
			return written;
		}

		private static string Name(string name)
		{
			if (name.Length == 0 || name.IndexOf("..", StringComparison.Ordinal) >= 0
				|| name.IndexOfAny(new[] { '/', ':', '*', '?', '"', '<', '>', '|' }) >= 0
				|| name.StartsWith("\\", StringComparison.Ordinal))
				throw new UsageException("'" + name + "' is not a name for a program");
			return name;
		}

		private static int Times(Dictionary<string, object> content)
		{
			return Convert.ToInt32(content["times"], CultureInfo.InvariantCulture);
		}
	}
}
