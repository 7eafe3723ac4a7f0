// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ActorLog
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxFile;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Actors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>
/// Reads the newest records of the Security log for Actors. What is too much is left out from the oldest on, or all of
/// it: an actor that is not the last would be a wrong one.
/// </summary>
public sealed class ActorLog
{
	private const string Prefix = "actors-";
	private const long FirstWindow = 1 << 14;
	private const long MostRecords = 1 << 22;
	private const long MostBytes = 32 << 20;
	private const double MostSeconds = 20;

	// ERROR_CALL_NOT_IMPLEMENTED: a system without an event log.
	private const int NotImplemented = 120;

	// Exports of a run that was killed, in 100 ns.
	private const long Abandoned = 36000000000;

	private readonly IEventLog _log;
	private readonly StateDirectory _state;
	private readonly Deadline _deadline;
	private readonly Stopwatch _watch = Stopwatch.StartNew();

	public ActorLog(IEventLog log, StateDirectory state, Deadline deadline)
	{
		_log = log;
		_state = state;
		_deadline = deadline;
	}

	/// <summary>Say whether records that could matter were left out.</summary>
	public bool IsPartial { get; private set; }

	/// <summary>Let actors take the records since a time; return why the log cannot be read, null if it was.</summary>
	public string Read(Actors actors)
	{
		LogState state;
		int error = _log.Read(Actors.Channel, out state);
		if (error != 0)
			return error == NotImplemented ? null : new Win32Exception(error).Message;
		if (state.Count <= 0 || state.Oldest < 0)
			return null;
		string name = null;
		try
		{
			RemoveAbandoned();
			error = Export(state, actors, ref name);
			return error != 0 ? new Win32Exception(error).Message : Take(actors, name);
		}
		catch (Exception problem)
		{
			if (!(problem is IOException || problem is UnauthorizedAccessException || problem is StateException))
				throw;
			return problem.Message;
		}
		finally
		{
			RemoveQuietly(name);
		}
	}

	// The more ids, the longer it takes, and what is large enough already is read faster.
	private int Export(LogState state, Actors actors, ref string name)
	{
		long newest = state.Oldest + state.Count - 1;
		for (long window = FirstWindow; ; window <<= 2)
		{
			long first = Math.Max(state.Oldest, newest - window + 1);
			string wider = Prefix + Guid.NewGuid().ToString("N") + ".evtx";
			int error = _log.Export(Actors.Channel, actors.Query(first), _state.Path + "\\" + wider);
			long size = error == 0 ? Size(wider) : 0;
			if (error != 0 || (size > MostBytes && name != null))
			{
				RemoveQuietly(wider);
				IsPartial = true;
				return name == null ? error : 0;
			}
			RemoveQuietly(name);
			name = wider;
			if (first == state.Oldest)
				return 0;
			IsPartial = size > MostBytes / 4 || window >= MostRecords || _watch.Elapsed.TotalSeconds > MostSeconds / 2
				|| _deadline.Passed;
			if (IsPartial)
				return 0;
		}
	}

	private string Take(Actors actors, string name)
	{
		EvtxProblems problems = new EvtxProblems();
		using (Stream stream = _state.OpenRead(name))
		{
			if (stream == null)
				return "its export was removed";
			if (stream.Length > MostBytes)
				return "it has too many records";
			foreach (EventRecord record in new EvtxFile(stream).Read(problems))
			{
				actors.Take(record);
				if (_watch.Elapsed.TotalSeconds > MostSeconds)
					return "it has too many records";
			}
		}
		return problems.IsIncomplete ? "a part of it is damaged: " + problems.FirstReason : null;
	}

	private long Size(string name)
	{
		using (Stream stream = _state.OpenRead(name))
			return stream == null ? 0 : stream.Length;
	}

	private void RemoveAbandoned()
	{
		foreach (KeyValuePair<string, long> file in _state.Modified())
		{
			if (file.Key.StartsWith(Prefix, StringComparison.Ordinal)
				&& file.Value < DateTime.UtcNow.ToFileTimeUtc() - Abandoned)
				_state.Remove(file.Key);
		}
	}

	private void RemoveQuietly(string name)
	{
		try
		{
			if (name != null)
				_state.Remove(name);
		}
		catch (StateException)
		{
			// The next run removes it.
		}
	}
}
}
