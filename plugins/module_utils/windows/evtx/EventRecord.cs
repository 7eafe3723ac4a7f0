// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord
{
/// <summary>A record of an event log; texts are as Windows renders them in XML, "" where the record has none.</summary>
public sealed class EventRecord
{
	/// <summary>1970 as FILETIME.</summary>
	public const long UnixEpoch = 116444736000000000;

	public string Channel = "";
	public string Provider = "";
	public string Computer = "";
	public string UserSid = "";
	public string ActivityId = "";
	public string Keywords = "";
	public int EventId;
	public int Version;
	public int Level;
	public int Opcode;
	public int Task;
	public int ProcessId;
	public int ThreadId;

	/// <summary>System/EventRecordID: the channel's own count, which an export keeps.</summary>
	public long RecordId;

	/// <summary>The id in the record's header: an export begins again at 1.</summary>
	public long HeaderRecordId;

	/// <summary>TimeCreated in units of 100 ns since 1601 (FILETIME); the header's where there is none.</summary>
	public long Time;

	/// <summary>
	/// The leaves of EventData, UserData and other sections of data, in order: the name of a Data element, else that
	/// of the element or attribute. A name may come twice. Data elements without a name are one List of string, named
	/// Data; every other value is a string.
	/// </summary>
	public readonly List<KeyValuePair<string, object>> Fields = new List<KeyValuePair<string, object>>();

	/// <summary>Return the text of the first field of a name, as data come in the order of the event's template; "" if
	/// there is none.</summary>
	public string Text(string name)
	{
		foreach (KeyValuePair<string, object> field in Fields)
		{
			if (field.Key == name)
				return field.Value as string ?? "";
		}
		return "";
	}

	/// <summary>Return a FILETIME as seconds since 1970.</summary>
	public static double UnixSeconds(long time)
	{
		return (time - UnixEpoch) / 1e7;
	}
}

/// <summary>What of event logs could not be read; one object may count several files.</summary>
public sealed class EvtxProblems
{
	/// <summary>Blocks of 64 KiB that are no chunk or no whole one; records in them are read where possible.</summary>
	public long Chunks;

	/// <summary>Records that gave no event, damaged ranges between records, and gaps in the ids of their headers.
	/// </summary>
	public long Records;

	/// <summary>
	/// Values of an unknown or impossible form, given as their bytes in hexadecimal or left empty, and events without
	/// their last fields, since their records are damaged there.
	/// </summary>
	public long Values;

	/// <summary>
	/// Chunks and file headers with a wrong checksum; what they hold is read nevertheless. Usual in the copy of a log
	/// that was in use.
	/// </summary>
	public long Checksums;

	/// <summary>Position in its file of the first chunk, record or value counted above; -1 for none.</summary>
	public long FirstOffset = -1;

	/// <summary>What was wrong there.</summary>
	public string FirstReason = "";

	/// <summary>Say whether events may be missing or incomplete.</summary>
	public bool IsIncomplete
	{
		get { return FirstOffset >= 0; }
	}

	/// <summary>Keep the offset and reason of the first problem.</summary>
	public void Explain(long offset, string reason)
	{
		if (FirstOffset >= 0)
			return;
		FirstOffset = offset;
		FirstReason = reason;
	}
}
}
