// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.FileRecords
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EvtxFile;

/// <summary>The records of a log's file, and what could not be read of it.</summary>
public sealed class FileRecords
{
	private readonly Func<Stream> _open;
	private readonly Func<bool> _isOver;

	/// <summary>Sentences without a full stop; complete after Read.</summary>
	public readonly List<string> Problems = new List<string>();

	/// <summary>Whether the file was read, to its end or until there was no more time.</summary>
	public bool IsRead { get; private set; }

	/// <summary>Whether there was no more time.</summary>
	public bool IsStopped { get; private set; }

	/// <param name="open">Raises IOException or UnauthorizedAccessException.</param>
	/// <param name="isOver">Whether there is no more time.</param>
	public FileRecords(Func<Stream> open, Func<bool> isOver)
	{
		_open = open;
		_isOver = isOver;
	}

	/// <summary>Return the records, once.</summary>
	public IEnumerable<EventRecord> Read()
	{
		EvtxProblems problems = new EvtxProblems();
		long records = 0;
		string failure;
		using (IEnumerator<EventRecord> reader = All(problems).GetEnumerator())
		{
			while (Next(reader, out failure))
			{
				records++;
				yield return reader.Current;
				// Also a run with little time gets on.
				IsStopped |= (records & 0xFF) == 0 && _isOver();
				if (IsStopped)
					break;
			}
		}
		IsRead = failure == null && (records > 0 || !problems.IsIncomplete);
		if (failure != null)
			Problems.Add("cannot be read to its end: " + failure);
		if (problems.IsIncomplete)
			Problems.Add(string.Format(CultureInfo.InvariantCulture,
				"{0} blocks, {1} records and {2} values could not be read, {3} records were; the first at offset {4}: {5}",
				problems.Chunks, problems.Records, problems.Values, records, problems.FirstOffset, problems.FirstReason));
	}

	private IEnumerable<EventRecord> All(EvtxProblems problems)
	{
		using (Stream stream = _open())
		{
			EvtxFile file = new EvtxFile(stream, _isOver);
			foreach (EventRecord record in file.Read(problems))
				yield return record;
			IsStopped |= file.IsStopped;
		}
	}

	private static bool Next(IEnumerator<EventRecord> reader, out string failure)
	{
		failure = null;
		try
		{
			return reader.MoveNext();
		}
		catch (Exception error)
		{
			if (!(error is IOException || error is UnauthorizedAccessException))
				throw;
			failure = error.Message;
			return false;
		}
	}
}
}
