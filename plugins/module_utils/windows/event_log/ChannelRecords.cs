// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.ChannelRecords
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.FileRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Reading;

/// <summary>The new records of a channel, from its archived logs and an export, as Reading decides.</summary>
public sealed class ChannelRecords
{
	/// <summary>The directory of the state where exports are, and how their names begin.</summary>
	public const string ExportDirectory = "exports";
	private const string ExportPrefix = "export-";

	private readonly IEventLog _log;
	private readonly StateDirectory _exports;
	private readonly LogState _state;
	private readonly Func<bool> _isOver;
	private readonly Action<string, string> _skip;
	private ICollection<int> _ids;

	public readonly string Channel;
	public readonly Reading Reading;

	/// <summary>Why the channel was not read, null if it was.</summary>
	public string Failure { get; private set; }

	/// <summary>Whether records are left that were not read.</summary>
	public bool IsCutOff { get; private set; }

	/// <param name="ids">The event ids that are wanted, null for all.</param>
	/// <param name="mark">How far the channel was read; null for a first look.</param>
	/// <param name="isOver">Whether there is no more time.</param>
	/// <param name="skip">Called with what could not be read and the reason.</param>
	public ChannelRecords(
		IEventLog log, StateDirectory exports, string channel, ICollection<int> ids, ChannelMark mark, LogState state,
		Func<bool> isOver, Action<string, string> skip)
	{
		_log = log;
		_exports = exports;
		_ids = ids;
		_state = state;
		_isOver = isOver;
		_skip = skip;
		Channel = channel;
		Reading = new Reading(channel, mark, state, ids == null);
	}

	/// <summary>Remove the exports of a run that was killed.</summary>
	public static void RemoveExports(StateDirectory exports)
	{
		foreach (string name in exports.Names())
		{
			if (name.StartsWith(ExportPrefix, StringComparison.Ordinal))
				Remove(exports, name);
		}
	}

	// Windows may still be writing it, or a virus scanner hold it: then the next run removes it.
	private static void Remove(StateDirectory exports, string name)
	{
		try
		{
			exports.Remove(name);
		}
		catch (StateException)
		{
		}
	}

	/// <summary>Return the records, once; the archived ones first.</summary>
	public IEnumerable<EventRecord> Read()
	{
		if (Reading.HasGap)
		{
			foreach (EventRecord record in Archived())
				yield return record;
		}
		bool isDone = false;
		while (!isDone && !_isOver())
		{
			bool wasReplaced = Reading.IsReplaced;
			foreach (EventRecord record in Exported())
				yield return record;
			if (Failure != null && _ids != null)
			{
				// Windows refuses some queries; without the ids it takes each.
				Reading.ExportWhole();
				_ids = null;
				Failure = null;
				continue;
			}
			isDone = Failure != null || wasReplaced || !Reading.IsReplaced;
			// The export had only what came after the position in another log.
			if (!isDone)
				Reading.Restart();
		}
		IsCutOff |= !isDone;
	}

	private IEnumerable<EventRecord> Archived()
	{
		foreach (string path in Archives())
		{
			string archive = path;
			FileRecords file = new FileRecords(delegate { return LogFiles.Open(archive); }, _isOver);
			foreach (EventRecord record in file.Read())
			{
				if (Reading.TakeArchived(record))
					yield return record;
			}
			foreach (string problem in file.Problems)
				_skip(path, problem);
			if (_isOver())
				yield break;
		}
		Reading.EndArchives();
	}

	private IEnumerable<string> Archives()
	{
		try
		{
			List<string> paths = LogFiles.Archives(_state.Path);
			int first = paths.Count - 1;
			// What is before a log that begins with records which were read is older still.
			while (first > 0 && !Reading.WasRead(First(paths[first])))
				first--;
			return paths.GetRange(Math.Max(first, 0), paths.Count - Math.Max(first, 0));
		}
		catch (Exception error)
		{
			if (!(error is IOException || error is UnauthorizedAccessException))
				throw;
			_skip(Channel, "its archived logs cannot be found: " + error.Message);
			return new string[0];
		}
	}

	// Null for none; reading the file reports what is wrong with it.
	private EventRecord First(string path)
	{
		foreach (EventRecord record in new FileRecords(delegate { return LogFiles.Open(path); }, _isOver).Read())
			return record;
		return null;
	}

	private IEnumerable<EventRecord> Exported()
	{
		string name = ExportPrefix + Guid.NewGuid().ToString("N") + ".evtx";
		bool wasReplaced = Reading.IsReplaced;
		try
		{
			int error = _log.Export(Channel, Reading.Query(_ids), _exports.Path + "\\" + name);
			if (error != 0)
			{
				Failure = LogErrors.Describe(error);
				yield break;
			}
			FileRecords file = new FileRecords(delegate { return Open(name); }, _isOver);
			foreach (EventRecord record in file.Read())
			{
				// Of another log, what follows is read with its beginning.
				if (Reading.IsReplaced == wasReplaced && Reading.Take(record))
					yield return record;
			}
			IsCutOff = !file.IsRead || file.IsStopped;
			foreach (string problem in file.Problems)
				_skip(Channel, problem);
		}
		finally
		{
			Remove(_exports, name);
		}
	}

	private Stream Open(string name)
	{
		Stream stream = _exports.OpenRead(name);
		if (stream == null)
			throw new IOException("the export was removed");
		return stream;
	}
}
}
