// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Requirements
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.RecordedEvents;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Sources;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Views;

/// <summary>
/// Which rules can never be true on a host, by what it records: channels that are enabled, by name; audit
/// subcategories, as GUID/success and GUID/failure, without braces; and the constants.
/// </summary>
public sealed class Requirements
{
	/// <summary>Command lines are in 4688.</summary>
	public const string CommandLines = "command lines in 4688";

	/// <summary>All script blocks are in 4104; without it those that PowerShell finds suspicious are.</summary>
	public const string ScriptBlocks = "PowerShell script block logging";

	/// <summary>Pipelines are in 4103.</summary>
	public const string Modules = "PowerShell module logging";

	/// <summary>The same of PowerShell 7.</summary>
	public const string CoreScriptBlocks = "PowerShell 7 script block logging";
	public const string CoreModules = "PowerShell 7 module logging";

	private const int NoId = -1;
	private const string GuidStart = "0CCE";
	private const string GuidEnd = "-69AE-11D9-BED3-505054503030";

	private static readonly string OfSystem = string.Join(" ", Views.SystemFields) + " UtcTime RuleName ";
	private static readonly Dictionary<int, List<Need>> BySecurityEvent = SecurityEvents();
	private static readonly List<object> Never = new List<object> { "or", new List<object>() };
	private static readonly List<object> Always = new List<object> { "and", new List<object>() };

	private readonly HashSet<string> _recorded;

	public Requirements(IEnumerable<string> recorded)
	{
		_recorded = new HashSet<string>(recorded, StringComparer.OrdinalIgnoreCase);
	}

	/// <summary>
	/// Return what a host records by the recording of win_audit_policy_info. What that could not find out counts as
	/// recorded, so that no rule is called blind for it; Sysmon has to run.
	/// </summary>
	public static ICollection<string> Recorded(IDictionary<string, object> recording)
	{
		HashSet<string> names = new HashSet<string>();
		foreach (KeyValuePair<string, object> pair in Section(recording, "subcategories"))
		{
			Dictionary<string, object> flags = (Dictionary<string, object>)pair.Value;
			foreach (string outcome in new[] { "success", "failure" })
				AddUnlessFalse(names, ((string)flags["guid"]).Trim('{', '}') + "/" + outcome, flags[outcome]);
		}
		if (names.Count == 0)
		{
			foreach (List<Need> needs in BySecurityEvent.Values)
				needs.ForEach(delegate(Need need) { names.UnionWith(need.Names); });
		}
		foreach (KeyValuePair<string, object> pair in Section(recording, "channels"))
			AddUnlessFalse(names, pair.Key, ((Dictionary<string, object>)pair.Value)["enabled"]);
		AddUnlessFalse(names, CommandLines, recording["command_lines"]);
		AddUnlessFalse(names, ScriptBlocks, Section(recording, "powershell")["script_blocks"]);
		AddUnlessFalse(names, Modules, Section(recording, "powershell")["modules"]);
		AddUnlessFalse(names, CoreScriptBlocks, Section(recording, "powershell_core")["script_blocks"]);
		AddUnlessFalse(names, CoreModules, Section(recording, "powershell_core")["modules"]);
		names.Remove(Sources.Sysmon);
		if (!false.Equals(Section(recording, "sysmon")["running"]))
			AddUnlessFalse(names, Sources.Sysmon, Section(recording, "sysmon")["channel"]);
		return names;
	}

	private static Dictionary<string, object> Section(IDictionary<string, object> recording, string name)
	{
		return (Dictionary<string, object>)recording[name];
	}

	private static void AddUnlessFalse(HashSet<string> names, string name, object value)
	{
		if (!false.Equals(value))
			names.Add(name);
	}

	/// <summary>
	/// Return what a rule needs that this host does not record, as in "Sysmon or audit subcategory Process Creation";
	/// null for a rule that can be true.
	/// </summary>
	/// <param name="condition">The compiled condition of the rule.</param>
	public string Missing(string source, List<object> condition)
	{
		List<string> missing = new List<string>();
		foreach (Occasion occasion in Occasions(source, condition))
		{
			if (!IsPossible(condition, true, occasion))
				continue;
			List<string> needs = new List<string>();
			foreach (List<Need> choice in occasion.Needs)
			{
				string label = Lacking(choice);
				if (label != null)
					needs.Add(label);
			}
			if (needs.Count == 0)
				return null;
			string all = string.Join(" and ", needs);
			// Another event of the same kind, or one with more fields than it takes.
			if (!missing.Exists(delegate(string less) { return all == less || all.StartsWith(less + " and "); }))
				missing.Add(all);
		}
		return missing.Count > 0 ? string.Join(" or ", missing) : "a field or an event that no event log has";
	}

	/// <summary>Return the ids of the rules that can't be true, by what they need. rules: of the compiled form.</summary>
	public SortedDictionary<string, SortedSet<string>> Missing(IEnumerable<object> rules)
	{
		// A rule is there once for each source; it can be true when it can for one of them.
		Dictionary<string, string> needs = new Dictionary<string, string>();
		foreach (object element in rules)
		{
			Dictionary<string, object> rule = (Dictionary<string, object>)element;
			string id = (string)rule["id"];
			string need;
			if (!needs.TryGetValue(id, out need) || need != null)
				needs[id] = Missing((string)rule["source"], (List<object>)rule["condition"]) ;
		}
		SortedDictionary<string, SortedSet<string>> missing =
			new SortedDictionary<string, SortedSet<string>>(StringComparer.Ordinal);
		foreach (KeyValuePair<string, string> pair in needs)
		{
			if (pair.Value == null)
				continue;
			if (!missing.ContainsKey(pair.Value))
				missing[pair.Value] = new SortedSet<string>(StringComparer.Ordinal);
			missing[pair.Value].Add(pair.Key);
		}
		return missing;
	}

	/// <summary>
	/// Return the events that can match one of the rules, by channel; null for all events of a channel. For rules that
	/// need all records, Sources.EveryEvent is among the channels.
	/// </summary>
	public static SortedDictionary<string, SortedSet<int>> EventIds(IEnumerable<object> rules)
	{
		SortedDictionary<string, SortedSet<int>> events =
			new SortedDictionary<string, SortedSet<int>>(StringComparer.OrdinalIgnoreCase);
		foreach (object element in rules)
		{
			Dictionary<string, object> rule = (Dictionary<string, object>)element;
			List<object> condition = (List<object>)rule["condition"];
			HashSet<int> asked = new HashSet<int> { NoId };
			AddEventIds(condition, asked);
			foreach (Records records in Sources.Read((string)rule["source"]))
			{
				bool isChannel = records.Ids.Length == 0;
				foreach (int id in isChannel ? asked : (IEnumerable<int>)records.Ids)
				{
					if (!isChannel || IsPossible(condition, true, new Occasion { EventId = id }))
						AddEvent(events, records.Channel, id);
				}
			}
			if ((string)rule["source"] == Sources.EveryEvent)
				AddEvent(events, Sources.EveryEvent, NoId);
		}
		return events;
	}

	private static void AddEvent(SortedDictionary<string, SortedSet<int>> events, string channel, int id)
	{
		SortedSet<int> ids;
		if (!events.TryGetValue(channel, out ids))
			events[channel] = ids = new SortedSet<int>();
		if (id == NoId)
			events[channel] = null;
		else if (ids != null)
			ids.Add(id);
	}

	/// <summary>
	/// Return the condition with each test of a field that a view lacks turned against the rule, so that only what is
	/// known decides: for views with IsMapped.
	/// </summary>
	public static List<object> Certain(List<object> condition, ICollection<string> known, bool isWanted = true)
	{
		string kind = (string)condition[0];
		if (kind == "not")
			return new List<object> { kind, Certain((List<object>)condition[1], known, !isWanted) };
		if (kind == "and" || kind == "or")
		{
			List<object> parts = new List<object>();
			foreach (object part in (List<object>)condition[1])
				parts.Add(Certain((List<object>)part, known, isWanted));
			return new List<object> { kind, parts };
		}
		foreach (string field in FieldsOf(condition))
		{
			if (!known.Contains(field))
				return isWanted ? Never : Always;
		}
		return condition;
	}

	// All that must be recorded for one kind of event; each need is a choice of some.
	private sealed class Occasion
	{
		public readonly List<List<Need>> Needs = new List<List<Need>>();
		// Null for any; NoId for one that the rule does not name.
		public int? EventId;
		public bool IsMapped;

		// Null for any.
		public HashSet<string> Fields;

		public Occasion Needing(params Need[] choice)
		{
			Needs.Add(new List<Need>(choice));
			return this;
		}
	}

	// One of the names in what is recorded is enough.
	private sealed class Need
	{
		public string Label;
		public string[] Names;

		public Need(string label, params string[] names)
		{
			Label = label;
			Names = names.Length == 0 ? new[] { label } : names;
		}
	}

	private IEnumerable<Occasion> Occasions(string source, List<object> condition)
	{
		foreach (Records records in Sources.Read(source))
		{
			if (records.Ids.Length > 0)
			{
				// What is not installed is nothing to ask for.
				if (records.Channel == Sources.PowerShellCore && !_recorded.Contains(Sources.PowerShellCore))
					continue;
				foreach (int id in records.Ids)
				{
					foreach (Occasion occasion in OfCategory(records.Channel, id))
						yield return occasion;
				}
				continue;
			}
			HashSet<int> ids = new HashSet<int> { NoId };
			AddEventIds(condition, ids);
			foreach (int id in ids)
				yield return OfChannel(records.Channel, id);
		}
		if (source == Sources.EveryEvent || source == "sign_in")
			yield return new Occasion();
	}

	private static IEnumerable<Occasion> OfCategory(string channel, int id)
	{
		string names;
		Occasion occasion = OfChannel(channel, id);
		occasion.IsMapped = RecordedEvents.BuiltinFields.TryGetValue(id, out names);
		if (!occasion.IsMapped && (channel != Sources.Sysmon || !RecordedEvents.SysmonFields.TryGetValue(id, out names)))
			names = null;
		if (names != null)
			occasion.Fields = new HashSet<string>((OfSystem + names).Split(' '));
		// Keys and other objects have this event, too.
		if (id == 4663)
			occasion.Needs[0] = occasion.Needs[0].FindAll(delegate(Need need)
			{
				return need.Label.EndsWith("File System", StringComparison.Ordinal) ||
					need.Label.EndsWith("Removable Storage", StringComparison.Ordinal);
			});
		yield return occasion;
		if (id != 4688)
			yield break;
		Occasion whole = OfChannel(channel, id).Needing(new Need(CommandLines));
		whole.IsMapped = true;
		whole.Fields = new HashSet<string>(occasion.Fields) { "CommandLine" };
		yield return whole;
	}

	private static Occasion OfChannel(string channel, int id)
	{
		Occasion occasion = new Occasion { EventId = id };
		List<Need> audit;
		if (Is(channel, Sources.Security) && BySecurityEvent.TryGetValue(id, out audit))
			occasion.Needs.Add(audit);
		else
			occasion.Needing(new Need(Is(channel, Sources.Sysmon) ? "Sysmon" : "channel " + channel, channel));
		bool isCore = Is(channel, Sources.PowerShellCore);
		if (isCore || Is(channel, Sources.PowerShell))
		{
			if (id == 4103)
				occasion.Needing(new Need(isCore ? CoreModules : Modules));
			else if (id == 4104)
				occasion.Needing(new Need(isCore ? CoreScriptBlocks : ScriptBlocks));
		}
		return occasion;
	}

	// Null when one of the choice is recorded.
	private string Lacking(List<Need> choice)
	{
		List<string> labels = new List<string>();
		foreach (Need need in choice)
		{
			foreach (string name in need.Names)
			{
				if (_recorded.Contains(name))
					return null;
			}
			labels.Add(need.Label);
		}
		return labels.Count == 0 ? null : string.Join(" or ", labels);
	}

	// Whether a condition can be true, or false, as far as the event's id and the fields that it never has decide it.
	private static bool IsPossible(List<object> node, bool value, Occasion occasion)
	{
		string kind = (string)node[0];
		if (kind == "not")
			return IsPossible((List<object>)node[1], !value, occasion);
		if (kind == "and" || kind == "or")
		{
			bool every = (kind == "and") == value;
			foreach (object part in (List<object>)node[1])
			{
				if (IsPossible((List<object>)part, value, occasion) != every)
					return !every;
			}
			return every;
		}
		if (kind == "text" && (string)node[1] == "EventID" && (string)node[2] == "equals" && occasion.EventId != null)
			return ((List<object>)node[3]).Contains(Text((int)occasion.EventId)) == value;
		if (occasion.Fields == null)
			return true;
		bool all = true;
		bool any = false;
		foreach (string field in FieldsOf(node))
		{
			bool has = occasion.Fields.Contains(field) ||
				field.StartsWith(Views.DataPrefix, StringComparison.Ordinal);
			all &= has;
			any |= has;
		}
		if (all || (any && kind == "listed"))
			return true;
		return !occasion.IsMapped && (kind == "null") == value;
	}

	private static IEnumerable<string> FieldsOf(List<object> node)
	{
		switch ((string)node[0])
		{
			case "words":
			case "patterns":
				return Names(node[1]);
			case "listed":
				return Names(node[2]);
			case "same":
				return new[] { (string)node[1], (string)node[2] };
			default:
				return new[] { (string)node[1] };
		}
	}

	private static IEnumerable<string> Names(object list)
	{
		foreach (object name in (List<object>)list)
			yield return (string)name;
	}

	private static void AddEventIds(List<object> node, HashSet<int> ids)
	{
		string kind = (string)node[0];
		if (kind == "not")
			AddEventIds((List<object>)node[1], ids);
		else if (kind == "and" || kind == "or")
		{
			foreach (object part in (List<object>)node[1])
				AddEventIds((List<object>)part, ids);
		}
		else if (kind == "text" && (string)node[1] == "EventID")
		{
			int id;
			foreach (object text in (List<object>)node[3])
			{
				if (int.TryParse((string)text, NumberStyles.None, CultureInfo.InvariantCulture, out id))
					ids.Add(id);
			}
		}
	}

	private static Dictionary<int, List<Need>> SecurityEvents()
	{
		Dictionary<int, List<Need>> events = new Dictionary<int, List<Need>>();
		foreach (string line in RecordedEvents.Subcategories)
		{
			int colon = line.IndexOf(':');
			string[] words = line.Substring(0, colon).Split(' ');
			string guid = GuidStart + words[0] + GuidEnd;
			string label = "audit subcategory " + line.Substring(colon + 1);
			for (int index = 1; index < words.Length; index++)
			{
				bool both = words[index].EndsWith("*", StringComparison.Ordinal);
				bool fails = words[index].EndsWith("F", StringComparison.Ordinal);
				Need need = both ? new Need(label, guid + "/success", guid + "/failure")
					: new Need(fails ? label + " (failure)" : label, guid + (fails ? "/failure" : "/success"));
				string[] range = words[index].TrimEnd('*', 'F').Split('-');
				for (int id = Number(range[0]); id <= Number(range[range.Length - 1]); id++)
				{
					List<Need> needs;
					if (!events.TryGetValue(id, out needs))
						events[id] = needs = new List<Need>();
					needs.Add(need);
				}
			}
		}
		return events;
	}

	private static int Number(string text)
	{
		return int.Parse(text, CultureInfo.InvariantCulture);
	}

	private static string Text(int number)
	{
		return number.ToString(CultureInfo.InvariantCulture);
	}

	private static bool Is(string channel, string name)
	{
		return string.Equals(channel, name, StringComparison.OrdinalIgnoreCase);
	}
}
}
