// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Evidence
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Detections;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Secrets;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;

/// <summary>Changes as detections, with OCSF evidence (https://schema.ocsf.io/1.5.0/objects).</summary>
public static class Evidence
{
	public const string SealScope = "baseline_seal";

	private const int ShownPaths = 10;

	// Characters of an account and of a path.
	private const int LongestActor = 500;

	// Milliseconds between 1601, when FILETIME begins, and 1970.
	private const long EpochMilliseconds = 11644473600000;

	// type_id of the OCSF reg_value object.
	private static readonly Dictionary<string, long> TypeIds = new Dictionary<string, long>
	{
		{ "REG_BINARY", 1 },
		{ "REG_DWORD", 2 },
		{ "REG_DWORD_BIG_ENDIAN", 3 },
		{ "REG_EXPAND_SZ", 4 },
		{ "REG_LINK", 5 },
		{ "REG_MULTI_SZ", 6 },
		{ "REG_NONE", 7 },
		{ "REG_QWORD", 8 },
		{ "REG_SZ", 10 },
	};

	/// <summary>
	/// Return the detection of a change that is an alert. below: how much else is new below it. parts: what of that
	/// has no detection of its own, and is accepted with it; null for nothing.
	/// </summary>
	public static Dictionary<string, object> ChangeDetection(
		Change change, Judgement judgement, long below, IList<Change> parts)
	{
		Dictionary<string, object> data = Data(change);
		string message = judgement.Message;
		if (below > 0)
		{
			data["below"] = below;
			message += "; also " + (change.Kind == ChangeKinds.Deleted ? "gone" : "new") + " below it: " + below;
		}
		if (change.Actor != null)
			message += "; by the Security log: " + ActorText(change.Actor);
		foreach (KeyValuePair<string, object> item in judgement.Evidence ?? new Dictionary<string, object>())
			data[item.Key] = item.Value;
		Dictionary<string, object> evidence = Object(change, data);
		List<Dictionary<string, object>> evidences = new List<Dictionary<string, object>> { evidence };
		foreach (Change part in parts ?? new Change[0])
			evidences.Add(Object(part, Data(part)));
		return Detections.Make(
			judgement.Alert,
			change.Current.Subject,
			change.Watch,
			evidences,
			severity: judgement.Severity,
			message: message,
			techniques: judgement.Techniques);
	}

	/// <summary>Return the detection of a watch with more changes than are listed. paths: shown ones.</summary>
	public static Dictionary<string, object> MassDetection(
		string watch, IDictionary<string, long> counts, long listed, IList<string> paths)
	{
		long total = 0;
		Dictionary<string, object> kinds = new Dictionary<string, object>();
		foreach (KeyValuePair<string, long> count in counts)
		{
			total += count.Value;
			kinds[count.Key] = count.Value;
		}
		List<object> shown = new List<object>();
		foreach (string path in paths)
		{
			if (shown.Count < ShownPaths)
				shown.Add(path);
		}
		Dictionary<string, object> data = new Dictionary<string, object>();
		data["watch"] = watch;
		data["changes"] = total;
		data["listed"] = listed;
		data["by_kind"] = kinds;
		data["paths"] = shown;
		return Detections.Make(
			"fim_mass_change",
			watch,
			watch,
			new[] { OfData(data) },
			count: total,
			message: total + " entries of watch '" + watch + "' changed; the " + listed
				+ " most severe changes are listed");
	}

	/// <summary>Return the detection of a baseline that is not what the controller sealed.</summary>
	public static Dictionary<string, object> SealDetection(
		string alert, string path, string message, IEnumerable<string> expected, string digest)
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		List<object> digests = new List<object>();
		foreach (string item in expected ?? new string[0])
			digests.Add(item);
		data["expected_digests"] = digests;
		data["digest"] = digest;
		return Detections.Make(
			alert, Printable.ShowPath(path), SealScope, new[] { OfData(data) }, message: message);
	}

	/// <summary>Return the detection of what only the host's own records explain.</summary>
	public static Dictionary<string, object> ClaimDetection(Dictionary<string, object> claim, string scope)
	{
		long count = (long)claim["count"];
		string subject = claim["package"] == null
			? (string)claim["message"]
			: claim["package"] + " " + claim["version"];
		return Detections.Make(
			"fim_changes_claimed",
			Printable.ShowPath(subject),
			scope,
			new[] { OfData(claim) },
			count: count,
			message: "Changed entries: " + count + "; " + claim["message"] + ".");
	}

	// Of the registry, texts are recorded as they are shown.
	private static object Shown(object value, bool isShown)
	{
		string text = value as string;
		if (text != null)
			return isShown ? Entry.Again(text) : Printable.ShowPath(text);
		List<object> list = value as List<object>;
		if (list == null)
			return value;
		List<object> shown = new List<object>();
		foreach (object item in list)
			shown.Add(Shown(item, isShown));
		return shown;
	}

	/// <summary>Return the attributes that a change is about: those that differ, or all of the only side.</summary>
	public static Dictionary<string, object> Side(Change change, Entry entry)
	{
		Dictionary<string, object> side = new Dictionary<string, object>();
		bool all = change.Before == null || change.After == null || change.Attributes.Length == 0;
		HashSet<string> names = new HashSet<string>(change.Attributes);
		foreach (KeyValuePair<string, object> attribute in entry.Attributes)
		{
			bool isContent = attribute.Key == "sha256" || attribute.Key == "data";
			if (all || names.Contains(isContent ? Attributes.Content : attribute.Key))
				side[attribute.Key] = SideValue(attribute.Key, attribute.Value, entry.IsRegistry);
		}
		return side;
	}

	// Times in nanoseconds since 1970, as Linux hosts have them, and the bits of the attributes by name.
	private static object SideValue(string name, object value, bool isShown)
	{
		if (!(value is long))
			return Shown(value, isShown);
		long number = (long)value;
		if (name == "mtime" || name == "created" || name == "last_write")
		{
			long ticks = Math.Max(number, 0) - EpochMilliseconds * 10000;
			return ticks > long.MaxValue / 100 ? long.MaxValue : ticks * 100;
		}
		if (name == "attributes")
			return number == 0 ? "None" : ((FileAttributes)number).ToString();
		return value;
	}

	private static Dictionary<string, object> Data(Change change)
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		data["kind"] = change.Kind;
		data["changed"] = new List<object>(change.Attributes);
		data["change_id"] = change.Id;
		if (change.Before != null && change.Before.Path != change.Path)
			data["previous_path"] = change.Before.Shown;
		if (change.Before != null && change.Kind != ChangeKinds.Suspicious)
			data["before"] = Side(change, change.Before);
		if (change.After != null)
			data["after"] = Side(change, change.After);
		return data;
	}

	/// <summary>Return who made a change, with what and when, in words.</summary>
	public static string ActorText(Actor actor)
	{
		string image = actor.Image.Length == 0 ? "" : " with " + Shown(actor.Image);
		string others = actor.Others > 0 ? ", after others: " + actor.Others : "";
		string name = actor.Account.Length > 0 ? actor.Account : actor.Sid;
		long time = Math.Max(0, Math.Min(actor.Time, DateTime.MaxValue.ToFileTimeUtc()));
		return string.Format(CultureInfo.InvariantCulture, "{0}{1} (process {2}) at {3:s}Z{4}",
			Shown(name), image, actor.ProcessId, DateTime.FromFileTimeUtc(time), others);
	}

	// In the form of events/EventEvidence.
	private static void AddActor(Dictionary<string, object> evidence, Dictionary<string, object> data, Actor actor)
	{
		Dictionary<string, object> user = new Dictionary<string, object>
		{
			{ "name", Shown(actor.Account) }, { "uid", Shown(actor.Sid) }
		};
		Dictionary<string, object> process = new Dictionary<string, object>
		{
			{ "pid", actor.ProcessId },
			{ "session", new Dictionary<string, object> { { "uid", Shown(actor.Logon) } } },
			{ "user", user }
		};
		if (actor.Image.Length > 0)
		{
			string path = Shown(actor.Image);
			string name = path.Substring(path.LastIndexOf('\\') + 1);
			process["name"] = name;
			process["path"] = path;
			process["file"] = new Dictionary<string, object> { { "name", name }, { "path", path }, { "type_id", 0L } };
		}
		evidence["process"] = process;
		evidence["actor"] = new Dictionary<string, object> { { "user", user } };
		data["record"] = new Dictionary<string, object>
		{
			{ "Channel", "Security" },
			{ "EventRecordID", actor.RecordId.ToString(CultureInfo.InvariantCulture) },
			{ "EventID", actor.EventId.ToString(CultureInfo.InvariantCulture) },
			{ "logged_time", actor.Time / 10000 - EpochMilliseconds },
			{ "other_actors", actor.Others }
		};
	}

	private static string Shown(string text)
	{
		return Printable.ShowPath(Secrets.Mask(text.Length <= LongestActor ? text : text.Substring(0, LongestActor)));
	}

	private static Dictionary<string, object> Object(Change change, Dictionary<string, object> data)
	{
		Entry entry = change.Current;
		Dictionary<string, object> evidence = new Dictionary<string, object>();
		evidence["data"] = data;
		if (change.Actor != null)
			AddActor(evidence, data, change.Actor);
		switch (entry.Kind)
		{
			case EntryKinds.Key:
				evidence["reg_key"] = Key(entry);
				break;
			case EntryKinds.Value:
				evidence["reg_value"] = Value(entry);
				break;
			case EntryKinds.Wmi:
				// OCSF has no object for it; "data" says all.
				break;
			default:
				evidence["file"] = File(entry);
				break;
		}
		return evidence;
	}

	private static Dictionary<string, object> Key(Entry entry)
	{
		Dictionary<string, object> key = new Dictionary<string, object>();
		key["path"] = entry.Shown;
		SetTime(key, "modified_time", entry.Number("last_write"));
		SetText(key, "security_descriptor", entry.Text("dacl"));
		return key;
	}

	private static Dictionary<string, object> Value(Entry entry)
	{
		int end = entry.Path.LastIndexOf('\\');
		Dictionary<string, object> value = new Dictionary<string, object>();
		value["name"] = Printable.ShowPath(RegistryPattern.ValueName(entry.Path.Substring(end + 1)));
		value["path"] = Printable.ShowPath(end < 0 ? entry.Path : entry.Path.Substring(0, end));
		value["is_default"] = entry.Path.EndsWith("\\" + RegistryPattern.DefaultValue, StringComparison.Ordinal);
		string type = entry.Text("type");
		if (type != null)
		{
			long number;
			value["type"] = type;
			value["type_id"] = TypeIds.TryGetValue(type, out number) ? number : 99L;
		}
		if (entry.Text("data") != null)
			value["data"] = Entry.Again(entry.Text("data"));
		return value;
	}

	private static Dictionary<string, object> File(Entry entry)
	{
		Dictionary<string, object> file = new Dictionary<string, object>();
		int end = entry.Path.LastIndexOf('\\');
		file["name"] = Printable.ShowPath(end < 0 || end + 1 == entry.Path.Length
			? entry.Path
			: entry.Path.Substring(end + 1));
		file["path"] = entry.Shown;
		file["type_id"] = entry.Kind == EntryKinds.Directory ? 2L : entry.Kind == EntryKinds.Link ? 7L : 1L;
		long? size = entry.Number("size");
		if (size.HasValue)
			file["size"] = size.Value;
		SetTime(file, "modified_time", entry.Number("mtime"));
		SetTime(file, "created_time", entry.Number("created"));
		SetText(file, "security_descriptor", entry.Text("dacl"));
		string owner = entry.Text("owner");
		if (owner != null)
			file["owner"] = new Dictionary<string, object> { { "uid", owner } };
		string digest = entry.Text("sha256");
		if (digest != null)
		{
			Dictionary<string, object> hash = new Dictionary<string, object>();
			hash["algorithm_id"] = 3L;
			hash["algorithm"] = "SHA-256";
			hash["value"] = digest;
			file["hashes"] = new List<object> { hash };
		}
		return file;
	}

	private static void SetText(Dictionary<string, object> fields, string name, string text)
	{
		if (text != null)
			fields[name] = Printable.ShowPath(text);
	}

	private static void SetTime(Dictionary<string, object> fields, string name, long? ticks)
	{
		if (ticks.HasValue)
			fields[name] = ticks.Value / 10000 - EpochMilliseconds;
	}

	private static Dictionary<string, object> OfData(Dictionary<string, object> data)
	{
		return new Dictionary<string, object> { { "data", data } };
	}
}
}
