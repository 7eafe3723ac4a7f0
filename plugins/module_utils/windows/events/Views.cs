// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Views
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Builtin;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.ScriptBlocks;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Sources;

/// <summary>A record as the rules of a source see it; values are string or List of string.</summary>
public sealed class EventView
{
	public readonly EventRecord Record;
	public readonly string Source;
	public readonly Dictionary<string, object> Fields;

	/// <summary>
	/// A record of Windows' own that stands for one of Sysmon's: what Fields lacks is unknown, not absent. A rule that
	/// matches has to match by Requirements.Certain, too.
	/// </summary>
	public readonly bool IsMapped;

	public EventView(EventRecord record, string source, Dictionary<string, object> fields, bool isMapped)
	{
		Record = record;
		Source = source;
		Fields = fields;
		IsMapped = isMapped;
	}
}

/// <summary>Makes of each record the views that rules are matched with.</summary>
public sealed class Views
{
	/// <summary>What data whose name System has, too, is under.</summary>
	public const string DataPrefix = "EventData.";

	/// <summary>The fields of each view that are not data of the event.</summary>
	public static readonly string[] SystemFields =
	{
		"EventID", "Provider_Name", "Channel", "Computer", "Level", "Version", "Task", "Opcode", "Keywords",
		"EventRecordID", "Execution_ProcessID", "Execution_ThreadID", "Security_UserID", "Correlation_ActivityID",
	};

	private static readonly HashSet<string> SystemNames = new HashSet<string>(SystemFields);
	private static readonly string[] HashNames = { "MD5", "SHA1", "SHA256", "IMPHASH" };

	private readonly Dictionary<string, string> _sources =
		new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
	private readonly Builtin _builtin;

	/// <summary>The script blocks that are being joined.</summary>
	public readonly ScriptBlocks Blocks = new ScriptBlocks();

	/// <param name="sources">Those that there are rules for; views of others are not made.</param>
	/// <param name="volumes">Drives by device, as in "\Device\HarddiskVolume3" and "C:"; paths on other devices stay as
	/// they are. Null for logs of other machines: all devices are taken for C:, where nearly all programs are.</param>
	public Views(IEnumerable<string> sources, IDictionary<string, string> volumes = null)
	{
		foreach (string source in sources)
			_sources[source] = source;
		_builtin = new Builtin(volumes);
	}

	/// <summary>
	/// Return the views of a record, and of those that wait for it. A part of a script block has none until the block
	/// is complete.
	/// </summary>
	public IEnumerable<EventView> Of(EventRecord record)
	{
		if (record.EventId == ScriptBlocks.EventId &&
			(Is(record, Sources.PowerShell) || Is(record, Sources.PowerShellCore)))
		{
			foreach (EventRecord block in Blocks.Add(record))
			{
				foreach (EventView view in Single(block))
					yield return view;
			}
		}
		else
		{
			foreach (EventView view in Single(record))
				yield return view;
		}
	}

	/// <summary>Return the views of records that still wait, when there are no more.</summary>
	public IEnumerable<EventView> Rest()
	{
		foreach (EventRecord block in Blocks.Rest())
		{
			foreach (EventView view in Single(block))
				yield return view;
		}
	}

	/// <summary>Return all that a record says under its own names.</summary>
	public static Dictionary<string, object> Fields(EventRecord record)
	{
		Dictionary<string, object> fields = new Dictionary<string, object>();
		fields["EventID"] = Decimal(record.EventId);
		fields["Provider_Name"] = record.Provider;
		fields["Channel"] = record.Channel;
		fields["Computer"] = record.Computer;
		fields["Level"] = Decimal(record.Level);
		fields["Version"] = Decimal(record.Version);
		fields["Task"] = Decimal(record.Task);
		fields["Opcode"] = Decimal(record.Opcode);
		fields["Keywords"] = record.Keywords;
		fields["EventRecordID"] = Decimal(record.RecordId);
		fields["Execution_ProcessID"] = Decimal(record.ProcessId);
		fields["Execution_ThreadID"] = Decimal(record.ThreadId);
		fields["Security_UserID"] = record.UserSid;
		fields["Correlation_ActivityID"] = record.ActivityId;
		foreach (KeyValuePair<string, object> field in record.Fields)
			Add(fields, SystemNames.Contains(field.Key) ? DataPrefix + field.Key : field.Key, field.Value);
		foreach (KeyValuePair<string, object> field in record.Fields)
		{
			// Sigma writes Defender's "Threat Name" as ThreatName or Threat_Name.
			if (field.Key.IndexOf(' ') > 0)
			{
				AddAbsent(fields, field.Key.Replace(" ", ""), fields[field.Key]);
				AddAbsent(fields, field.Key.Replace(' ', '_'), fields[field.Key]);
			}
		}
		if (Is(record, Sources.Sysmon))
			SplitHashes(fields);
		return fields;
	}

	private static string Decimal(long number)
	{
		return number.ToString(CultureInfo.InvariantCulture);
	}

	private IEnumerable<EventView> Single(EventRecord record)
	{
		Dictionary<string, object> fields = null;
		string source;
		foreach (string name in new[] { record.Channel, Sources.EveryEvent })
		{
			if (_sources.TryGetValue(name, out source))
				yield return new EventView(record, source, fields = fields ?? Fields(record), false);
		}
		foreach (string category in Sources.Of(record.Channel, record.EventId))
		{
			if (!_sources.ContainsKey(category))
				continue;
			fields = fields ?? Fields(record);
			if (Is(record, Sources.Security))
			{
				Dictionary<string, object> mapped = _builtin.Map(category, record.EventId, fields);
				if (mapped != null)
					yield return new EventView(record, category, mapped, true);
			}
			else if (record.EventId != 12 || HasType(category, fields))
				yield return new EventView(record, category, fields, false);
		}
	}

	// Sysmon has one event for keys and values that are added and that are deleted.
	private static bool HasType(string category, Dictionary<string, object> fields)
	{
		object type;
		bool deletes = fields.TryGetValue("EventType", out type) && type is string &&
			((string)type).StartsWith("Delete", StringComparison.Ordinal);
		return category == "registry_event" || (category == "registry_delete") == deletes;
	}

	private static bool Is(EventRecord record, string channel)
	{
		return string.Equals(record.Channel, channel, StringComparison.OrdinalIgnoreCase);
	}

	// Of two fields with one name, both are values.
	private static void Add(Dictionary<string, object> fields, string name, object value)
	{
		object present;
		if (!fields.TryGetValue(name, out present))
		{
			fields[name] = value;
			return;
		}
		List<string> values = new List<string>();
		foreach (object each in new[] { present, value })
		{
			if (each is string)
				values.Add((string)each);
			else
				values.AddRange((IEnumerable<string>)each);
		}
		fields[name] = values;
	}

	private static void AddAbsent(Dictionary<string, object> fields, string name, object value)
	{
		if (!fields.ContainsKey(name))
			fields[name] = value;
	}

	// "MD5=...,SHA256=..."
	private static void SplitHashes(Dictionary<string, object> fields)
	{
		object value;
		if (!fields.TryGetValue("Hashes", out value) && !fields.TryGetValue("Hash", out value) || !(value is string))
			return;
		foreach (string hash in ((string)value).Split(','))
		{
			int equals = hash.IndexOf('=');
			string name = equals < 0 ? "" : hash.Substring(0, equals).ToUpperInvariant();
			if (Array.IndexOf(HashNames, name) >= 0)
				AddAbsent(fields, name, hash.Substring(equals + 1));
		}
	}
}
}
