// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Actors
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;

/// <summary>
/// Finds who made changes in records of the Security log: the last recorded access of a kind that can make the change,
/// under the name of the changed entry. Without Windows.
/// </summary>
/// <remarks>
/// A record that fits by half gives no actor: access to the parent, under another name of the file, that was asked for
/// and not used, to a former file of the name, or from before the baseline knew the entry.
/// </remarks>
public sealed class Actors
{
	public const string Channel = "Security";

	private const string Provider = "Microsoft-Windows-Security-Auditing";
	private const ulong AuditSuccess = 0x20000000000000;

	// https://learn.microsoft.com/windows/win32/fileio/file-access-rights-constants: write and append data. For a
	// directory they only say that something was made in it.
	private const uint Data = 0x2 | 0x4;
	private const uint WriteAttributes = 0x100;
	private const uint Delete = 0x10000;
	private const uint WriteDac = 0x40000;
	private const uint WriteOwner = 0x80000;

	// No rights: a value of the registry was set, and an alternate stream of a file was written or deleted.
	private const uint SetValue = 1;
	private const uint Stream = 1u << 31;

	// Seconds: who writes a baseline without a seal chooses its times.
	private const double Latest = 200000000000;

	private readonly Dictionary<string, List<Wanted>> _wanted =
		new Dictionary<string, List<Wanted>>(StringComparer.OrdinalIgnoreCase);

	// What handles can delete, until their ids stand for something else.
	private readonly Dictionary<string, string> _handles = new Dictionary<string, string>();
	private readonly IDictionary<string, string> _volumes;
	private readonly string _controlSet;

	/// <param name="header">Of the baseline: says since when it knows an entry.</param>
	/// <param name="volumes">Drives by device.</param>
	/// <param name="controlSet">The number of the current control set in three digits; null where it is not known.</param>
	public Actors(
		IEnumerable<Change> changes, Header header, IDictionary<string, string> volumes, string controlSet)
	{
		_volumes = volumes;
		_controlSet = controlSet;
		Since = long.MaxValue;
		foreach (Change change in changes)
			Want(change, SinceOf(change, header));
	}

	/// <summary>The time (FILETIME) of the oldest record that can matter; long.MaxValue if none can.</summary>
	public long Since { get; private set; }

	/// <summary>Return the XPath query for the records that Take knows, from an id on.</summary>
	public string Query(long first)
	{
		return string.Format(CultureInfo.InvariantCulture,
			"*[System[EventRecordID >= {0} and TimeCreated[@SystemTime >= '{1:yyyy-MM-ddTHH:mm:ss.fffZ}'] and "
			+ "((EventID >= 4656 and EventID <= 4660) or EventID = 4663 or EventID = 4670)]]",
			first, DateTime.FromFileTimeUtc(Since));
	}

	/// <summary>Take a record of the log, the oldest first.</summary>
	public void Take(EventRecord record)
	{
		if (record.Provider != Provider || record.Channel != Channel || (Number(record.Keywords) & AuditSuccess) == 0)
			return;
		Dictionary<string, string> fields = new Dictionary<string, string>();
		foreach (KeyValuePair<string, object> field in record.Fields)
			fields[field.Key] = field.Value as string ?? "";
		// Whoever may write audit records names another subsystem there.
		if (Text(fields, "ObjectServer") != "Security" && record.EventId != 4657)
			return;
		string handle = string.Join("\n", new[] {
			Text(fields, "HandleId"), Text(fields, "ProcessId"), Text(fields, "SubjectLogonId"), Text(fields, "ProcessName")
		});
		string name;
		if (record.EventId == 4660)
		{
			if (_handles.TryGetValue(handle, out name))
				Note(name, Delete, record, fields);
			_handles.Remove(handle);
			return;
		}
		if (record.EventId == 4658)
		{
			_handles.Remove(handle);
			return;
		}
		name = Name(Text(fields, "ObjectName"), Text(fields, "ObjectType"), record.EventId == 4657);
		uint access = (uint)Number(Text(fields, "AccessMask"));
		string held;
		bool isSame = _handles.TryGetValue(handle, out held)
			&& string.Equals(held, name, StringComparison.OrdinalIgnoreCase);
		if (held != null && !isSame)
			_handles.Remove(handle);
		if (name == null)
			return;
		if (record.EventId == 4657)
		{
			string value = Text(fields, "ObjectValueName");
			uint made = Text(fields, "OperationType") == "%%1906" ? Delete : SetValue;
			Note(ValueName(name, value == "-" ? "" : value), made, record, fields);
			return;
		}
		if ((access & Delete) != 0 && _wanted.ContainsKey(name))
			_handles[handle] = name;
		// After that of the drive.
		int colon = name.IndexOf(':', Math.Min(2, name.Length));
		if (colon > 0 && Text(fields, "ObjectType") == "File")
		{
			name = name.Substring(0, colon);
			access = (access & (Data | Delete)) != 0 ? Stream : 0;
		}
		// A handle that was only asked for was not used.
		if (record.EventId != 4656)
			Note(name, record.EventId == 4670 ? WriteDac : access, record, fields);
	}

	/// <summary>Let changes know their actors, and return those without one of which a record was possible.</summary>
	public List<Change> Finish()
	{
		List<Change> unknown = new List<Change>();
		HashSet<Change> seen = new HashSet<Change>();
		foreach (List<Wanted> entries in _wanted.Values)
		{
			// In directories that tell upper from lower case, records do not say which one it is.
			bool isClear = entries.TrueForAll(delegate(Wanted wanted) { return wanted.Name == entries[0].Name; });
			foreach (Wanted wanted in entries)
			{
				Actor last = wanted.Last;
				// What names a value itself says more than what names its key.
				if (isClear && last != null && (wanted.Change.Actor == null || wanted.End != 0))
				{
					last.Others = wanted.Everybody.Count - 1;
					wanted.Change.Actor = last;
				}
				if (seen.Add(wanted.Change))
					unknown.Add(wanted.Change);
			}
		}
		unknown.RemoveAll(delegate(Change change) { return change.Actor != null; });
		return unknown;
	}

	// Acceptance is of the state that was seen before it. What is accepted is only listed up to a number.
	private static long SinceOf(Change change, Header header)
	{
		double since = 0;
		foreach (Event each in header.History)
		{
			bool isComplete = each.Action == "accepted" && since > 0 && each.Paths != null
				&& each.Count == each.Paths.Count;
			bool isOther = isComplete && !each.Paths.Contains(change.Current.Shown)
				&& (change.Before == null || !each.Paths.Contains(change.Before.Shown));
			if (!isOther)
				since = Math.Max(since, each.Until);
		}
		return (long)(Math.Min(since, Latest) * 10000000) + EventRecord.UnixEpoch;
	}

	private void Want(Change change, long since)
	{
		Entry entry = change.Current;
		if (change.Kind == ChangeKinds.Suspicious || entry.Kind == EntryKinds.Wmi)
			return;
		bool isGone = change.Kind == ChangeKinds.Deleted || change.Kind == ChangeKinds.Renamed;
		string path = change.Kind == ChangeKinds.Renamed ? change.Before.Path : entry.Path;
		uint access = isGone ? Delete : Access(change, entry);
		if (entry.Kind == EntryKinds.Value)
		{
			string key = RegistryPattern.ParentOf(path);
			Add(ValueName(key, RegistryPattern.ValueName(RegistryPattern.NameOf(path))), access,
				isGone ? SetValue : Delete, since, change);
			if (isGone)
				Add(key, access, 0, since, change);
			return;
		}
		Add(path, access, isGone ? Data : Delete, since, change);
	}

	// end: access after which there was another entry of the name, which earlier records say nothing of; 0 for a key that
	// can have taken a value with it.
	private void Add(string name, uint access, uint end, long since, Change change)
	{
		if (access == 0)
			return;
		List<Wanted> entries;
		if (!_wanted.TryGetValue(name, out entries))
			_wanted[name] = entries = new List<Wanted>();
		entries.Add(new Wanted { Name = name, Access = access, End = end, Since = since, Change = change });
		Since = Math.Min(Since, since);
	}

	// The rights with which this change can be made under the name of the entry.
	private static uint Access(Change change, Entry entry)
	{
		if (entry.Kind == EntryKinds.Value)
			return SetValue;
		bool isContainer = entry.Kind == EntryKinds.Directory || entry.Kind == EntryKinds.Key;
		uint access = 0;
		foreach (string attribute in change.Attributes)
		{
			if (attribute == "dacl")
				access |= WriteDac;
			else if (attribute == "owner")
				access |= WriteOwner;
			else if (attribute == "attributes" || attribute == "links")
				access |= WriteAttributes;
			else if (attribute == "streams")
				access |= Stream;
			else
				access |= attribute == "mtime" || attribute == "created" || attribute == "reparse"
					? Data | WriteAttributes
					: Data;
		}
		if (change.Attributes.Length == 0)
			access = entry.Kind == EntryKinds.Link ? Data | WriteAttributes : Data;
		if (entry.Kind == EntryKinds.Key)
			access &= WriteDac | WriteOwner;
		return isContainer ? access & ~Data : access;
	}

	private void Note(string name, uint access, EventRecord record, Dictionary<string, string> fields)
	{
		List<Wanted> entries;
		if (!_wanted.TryGetValue(name, out entries))
			return;
		foreach (Wanted wanted in entries)
		{
			if ((wanted.End & access) != 0)
				wanted.Last = null;
			if ((wanted.Access & access) == 0 || record.Time < wanted.Since)
				continue;
			Actor actor = ActorOf(record, fields);
			wanted.Last = actor;
			wanted.Everybody.Add(actor.Sid + "\n" + actor.Image.ToUpperInvariant());
		}
	}

	private Actor ActorOf(EventRecord record, Dictionary<string, string> fields)
	{
		string name = Text(fields, "SubjectUserName");
		string domain = Text(fields, "SubjectDomainName");
		Actor actor = new Actor { Sid = Text(fields, "SubjectUserSid"), Image = FilePath(Text(fields, "ProcessName")) };
		// Its name is the machine's.
		actor.Account = actor.Sid == "S-1-5-18" ? @"NT AUTHORITY\SYSTEM" : domain == "" ? name : domain + "\\" + name;
		actor.Logon = Text(fields, "SubjectLogonId");
		actor.ProcessId = (long)Number(Text(fields, "ProcessId"));
		actor.Time = record.Time;
		actor.RecordId = record.RecordId;
		actor.EventId = record.EventId;
		return actor;
	}

	// As entries have it; null for what they do not have.
	private string Name(string name, string type, bool isKey)
	{
		if (type == "Key" || isKey)
			return KeyPath(name);
		return type == "File" ? FilePath(name) : null;
	}

	private string FilePath(string path)
	{
		int end = path.StartsWith(@"\Device\", StringComparison.OrdinalIgnoreCase) ? path.IndexOf('\\', 8) : -1;
		string drive;
		return end > 0 && _volumes.TryGetValue(path.Substring(0, end), out drive) ? drive + path.Substring(end) : path;
	}

	private string KeyPath(string name)
	{
		const string Machine = @"\REGISTRY\MACHINE\";
		const string Users = @"\REGISTRY\USER\";
		if (name.StartsWith(Users, StringComparison.OrdinalIgnoreCase))
			return @"HKU\" + name.Substring(Users.Length);
		if (!name.StartsWith(Machine, StringComparison.OrdinalIgnoreCase))
			return null;
		string path = name.Substring(Machine.Length);
		string current = @"SYSTEM\ControlSet" + _controlSet;
		bool isCurrent = _controlSet != null && (path + "\\").StartsWith(current + "\\", StringComparison.OrdinalIgnoreCase);
		return @"HKLM\" + (isCurrent ? @"SYSTEM\CurrentControlSet" + path.Substring(current.Length) : path);
	}

	// No key has an empty name, so no other key and value have this one.
	private static string ValueName(string key, string value)
	{
		return key + @"\\" + value;
	}

	// Windows writes what it does not know as -.
	private static string Text(Dictionary<string, string> fields, string name)
	{
		string text;
		return fields.TryGetValue(name, out text) && (text != "-" || name == "ObjectValueName") ? text : "";
	}

	private static ulong Number(string text)
	{
		ulong number;
		bool isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
		return ulong.TryParse(isHex ? text.Substring(2) : text, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None,
			CultureInfo.InvariantCulture, out number) ? number : 0;
	}

	private sealed class Wanted
	{
		public string Name;
		public uint Access;
		public uint End;
		public long Since;
		public Change Change;
		public Actor Last;
		public readonly HashSet<string> Everybody = new HashSet<string>();
	}
}
}
