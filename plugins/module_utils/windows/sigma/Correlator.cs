// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Correlator
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.CorrelationGroup;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values;

/// <summary>A correlation that is true.</summary>
public sealed class CorrelationMatch
{
	/// <summary>The number, for <c>RuleSet.Rule</c>.</summary>
	public int Rule;

	/// <summary>The fields that it groups by, with their values.</summary>
	public Dictionary<string, object> Group;

	/// <summary>These, and what is known of the last event, to make a subject and a message of.</summary>
	public Dictionary<string, object> View;

	/// <summary>Seconds since the epoch.</summary>
	public double FirstTime;
	public double LastTime;

	/// <summary>How many make it up, or where it was true before and still is, how many came since.</summary>
	public long Events;
	public bool IsContinued;

	/// <summary>Distinct values that were counted, at most 20.</summary>
	public List<string> Values;

	/// <summary>Of the first and the last events.</summary>
	public List<object> Evidences;
}

/// <summary>
/// Correlations: what follows from matches of rules over time, as module_utils/sigma/correlator.py finds it; on Windows
/// nothing explains an event. Feed it each match of a rule; keep <c>State</c> from one run to the next.
/// </summary>
public sealed class Correlator
{
	private const long StateVersion = 1;
	private const int ValuesLimit = 20;

	private readonly List<Correlation> _correlations = new List<Correlation>();
	private readonly Dictionary<int, List<KeyValuePair<Correlation, int>>> _byRule =
		new Dictionary<int, List<KeyValuePair<Correlation, int>>>();

	/// <summary>FormatException for a state that is none.</summary>
	public Correlator(Dictionary<string, object> compiled, Dictionary<string, object> state = null)
	{
		int number = Compiled.List(compiled, "rules").Count;
		foreach (object entry in Compiled.List(compiled, "correlations"))
		{
			Correlation correlation = new Correlation(number++, (Dictionary<string, object>)entry);
			_correlations.Add(correlation);
			for (int part = 0; part < correlation.Parts.Count; part++)
			{
				foreach (object rule in (List<object>)correlation.Parts[part])
				{
					int ofRule = Convert.ToInt32(rule);
					if (!_byRule.ContainsKey(ofRule))
						_byRule[ofRule] = new List<KeyValuePair<Correlation, int>>();
					_byRule[ofRule].Add(new KeyValuePair<Correlation, int>(correlation, part));
				}
			}
		}
		if (state != null && state.Count > 0)
			Restore(state);
	}

	/// <summary>A sentence for each correlation that had to forget events it might have needed.</summary>
	public List<string> Problems
	{
		get
		{
			List<string> problems = new List<string>();
			foreach (Correlation correlation in _correlations)
			{
				if (correlation.Forgotten > 0)
					problems.Add(string.Format(CultureInfo.InvariantCulture,
						"correlation '{0}' had to forget {1} groups or values; it may have missed something",
						correlation.Title, correlation.Forgotten));
			}
			return problems;
		}
	}

	/// <summary>Say whether a rule is part of a correlation, so that its matches have to be fed.</summary>
	public bool Wants(int rule)
	{
		return _byRule.ContainsKey(rule);
	}

	/// <summary>Return what Feed needs of a view, so that it can wait for its turn without the rest.</summary>
	public Dictionary<string, object> Needed(int rule, IDictionary<string, object> view)
	{
		Dictionary<string, object> needed = new Dictionary<string, object>();
		foreach (KeyValuePair<Correlation, int> part in _byRule[rule])
		{
			foreach (KeyValuePair<string, object> shown in part.Key.Show(view))
				needed[shown.Key] = shown.Value;
			foreach (string field in part.Key.Fields[part.Value])
				needed[field] = Text(view, field);
		}
		return needed;
	}

	/// <summary>Take in that a rule matched, and return the correlations that are true with it.</summary>
	/// <param name="time">Seconds since the epoch.</param>
	/// <param name="evidence">What findings show of the event, as JSON; some fields of the view where it is null.
	/// </param>
	public List<CorrelationMatch> Feed(
		int rule, double time, IDictionary<string, object> view, object evidence = null)
	{
		List<CorrelationMatch> matches = new List<CorrelationMatch>();
		List<KeyValuePair<Correlation, int>> parts;
		if (!_byRule.TryGetValue(rule, out parts))
			return matches;
		foreach (KeyValuePair<Correlation, int> part in parts)
		{
			CorrelationMatch match = Feed(part.Key, part.Value, time, view, evidence);
			if (match == null)
				continue;
			if (!part.Key.IsComponent)
				matches.Add(match);
			object last = match.Evidences[match.Evidences.Count - 1];
			matches.AddRange(Feed(match.Rule, time, match.View, last));
		}
		return matches;
	}

	/// <summary>
	/// Return what the next run has to know, as JSON. now: what is older than a time span by then is left out.
	/// </summary>
	public Dictionary<string, object> State(double now)
	{
		Dictionary<string, object> correlations = new Dictionary<string, object>();
		foreach (Correlation correlation in _correlations)
		{
			double oldest = now - 2 * correlation.Condition.Span;
			List<object> groups = correlation.Groups.State(oldest);
			if (groups.Count > 0)
				correlations[correlation.Key] = groups;
		}
		return new Dictionary<string, object> { { "version", StateVersion }, { "correlations", correlations } };
	}

	private static CorrelationMatch Feed(
		Correlation correlation, int part, double time, IDictionary<string, object> view, object evidence)
	{
		List<string> key = correlation.Fields[part].ConvertAll(field => Text(view, field));
		Group group = correlation.Groups.Take(key, evidence ?? correlation.Show(view));
		if (correlation.Groups.DropOldest())
			correlation.Forgotten++;
		string value = string.Join("\0", correlation.Values.ConvertAll(field => Text(view, field)).ToArray());
		CorrelationCondition condition = correlation.Condition;
		correlation.Forgotten += CorrelationGroup.Add(group.Entries, new Entry(time, part, value, 1), condition);
		List<Entry> window = CorrelationGroup.Satisfied(group.Entries, time, condition);
		if (window == null)
			return null;
		bool isContinued = group.Fired != null && Math.Abs(time - group.Fired.Value) <= condition.Span;
		group.Fired = group.Fired == null ? time : Math.Max(group.Fired.Value, time);
		CorrelationMatch match = new CorrelationMatch
		{
			Rule = correlation.Number,
			Group = new Dictionary<string, object>(),
			View = correlation.Show(view),
			FirstTime = isContinued ? time : window[0].Time,
			LastTime = isContinued ? time : window[window.Count - 1].Time,
			Events = isContinued ? 1 : 0,
			IsContinued = isContinued,
			Values = new List<string>(),
			Evidences = new List<object> { group.First },
		};
		for (int index = 0; index < key.Count; index++)
			match.Group[correlation.GroupNames[index]] = match.View[correlation.GroupNames[index]] = key[index];
		for (int index = window.Count - 1; index >= 0; index--)
		{
			if (!isContinued)
				match.Events += window[index].Events;
			string counted = window[index].Value.Replace('\0', ' ');
			if (window[index].Value.Length > 0 && match.Values.Count < ValuesLimit && !match.Values.Contains(counted))
				match.Values.Add(counted);
		}
		match.Evidences.AddRange(group.Recent);
		return match;
	}

	private void Restore(Dictionary<string, object> state)
	{
		object version = Compiled.Member(state, "version");
		if (!StateVersion.Equals(version))
			throw new FormatException("the state of correlations has version " + version);
		try
		{
			Dictionary<string, object> correlations = (Dictionary<string, object>)state["correlations"];
			foreach (Correlation correlation in _correlations)
			{
				// Of a correlation that was changed since, nothing is there: its key is another one.
				foreach (object group in Compiled.List(correlations, correlation.Key))
					correlation.Groups.Restore((List<object>)group);
			}
		}
		catch (Exception error)
		{
			if (!(error is ArgumentException || error is FormatException || error is InvalidCastException
				|| error is KeyNotFoundException || error is NullReferenceException))
				throw;
			throw new FormatException("the state of correlations is damaged: " + error.Message, error);
		}
	}

	internal static string Text(IDictionary<string, object> view, string field)
	{
		object value;
		string[] texts = Values.Each(Values.TextsOf(view.TryGetValue(field, out value) ? value : null));
		return Values.Head(string.Join(" ", texts), Correlation.LongestText);
	}
}

// A compiled correlation with the groups that it has seen.
internal sealed class Correlation
{
	public const int LongestText = 256;

	// What a finding shows of an event where the reader gives no evidence of its own.
	private static readonly string[] Usual =
	{
		"User", "AuditUser", "TargetUser", "SourceIp", "DestinationIp", "Service", "Method", "Image", "CommandLine",
		"TargetFilename", "Message",
	};

	public readonly int Number;
	public readonly string Title;
	public readonly bool IsComponent;
	public readonly List<object> Parts;
	public readonly List<string> Values;
	public readonly List<string> GroupNames = new List<string>();

	// By part: the fields whose values make the group.
	public readonly List<List<string>> Fields = new List<List<string>>();
	public readonly CorrelationCondition Condition;
	public readonly Groups Groups = new Groups();

	// The name under which the state has the groups.
	public readonly string Key;
	public long Forgotten;

	private readonly HashSet<string> _shown;

	public Correlation(int number, Dictionary<string, object> entry)
	{
		Number = number;
		Title = (string)entry["title"];
		IsComponent = true.Equals(Compiled.Member(entry, "component"));
		Parts = (List<object>)entry["parts"];
		Values = Compiled.Texts(entry, "values");
		Key = (string)entry["key"];
		_shown = new HashSet<string>(Usual, StringComparer.Ordinal);
		_shown.UnionWith(Values);
		_shown.UnionWith(Compiled.Texts(entry, "subject"));
		for (int part = 0; part < Parts.Count; part++)
			Fields.Add(new List<string>());
		foreach (object group in (List<object>)entry["group"])
		{
			Dictionary<string, object> names = (Dictionary<string, object>)group;
			GroupNames.Add((string)names["name"]);
			for (int part = 0; part < Parts.Count; part++)
				Fields[part].Add((string)((List<object>)names["fields"])[part]);
		}
		Condition = new CorrelationCondition
		{
			Kind = (string)entry["type"],
			Span = Convert.ToDouble(entry["span"], CultureInfo.InvariantCulture),
			Parts = Parts.Count,
			Operator = Compiled.Member(entry, "operator") as string ?? "gte",
			Threshold = Convert.ToInt64(Compiled.Member(entry, "count") ?? 1L),
			Expression = Compiled.Member(entry, "expression") as List<object>,
		};
	}

	public Dictionary<string, object> Show(IDictionary<string, object> view)
	{
		Dictionary<string, object> shown = new Dictionary<string, object>();
		foreach (string field in _shown)
		{
			object value;
			if (view.TryGetValue(field, out value) && value != null)
				shown[field] = Correlator.Text(view, field);
		}
		return shown;
	}
}

internal sealed class Group
{
	private const int RecentLimit = 4;

	public readonly List<string> Key;
	public readonly object First;
	public readonly List<Entry> Entries = new List<Entry>();
	public readonly List<object> Recent = new List<object>();
	public double? Fired;

	public Group(List<string> key, object first)
	{
		Key = key;
		First = first;
	}

	public void Remember(object evidence)
	{
		Recent.Add(evidence);
		if (Recent.Count > RecentLimit)
			Recent.RemoveAt(0);
	}
}

// Groups by the values of their fields, the one that was fed last at the end.
internal sealed class Groups
{
	// Sources of a spread attack, users of a host.
	private const int Limit = 2000;

	private readonly LinkedList<Group> _groups = new LinkedList<Group>();
	private readonly Dictionary<string, LinkedListNode<Group>> _byKey =
		new Dictionary<string, LinkedListNode<Group>>(StringComparer.Ordinal);

	// The group of an event with the event's evidence in it, as the one that was fed last.
	public Group Take(List<string> key, object evidence)
	{
		LinkedListNode<Group> node;
		if (!_byKey.TryGetValue(Join(key), out node))
			return Append(new Group(key, evidence));
		node.Value.Remember(evidence);
		_groups.Remove(node);
		_groups.AddLast(node);
		return node.Value;
	}

	public bool DropOldest()
	{
		if (_groups.Count <= Limit)
			return false;
		_byKey.Remove(Join(_groups.First.Value.Key));
		_groups.RemoveFirst();
		return true;
	}

	public List<object> State(double oldest)
	{
		List<object> state = new List<object>();
		foreach (Group group in _groups)
		{
			List<Entry> entries = group.Entries;
			if (entries.Count == 0 || entries[entries.Count - 1].Time < oldest)
				continue;
			List<object> events = entries.ConvertAll(
				entry => (object)new List<object> { entry.Time, (long)entry.Part, entry.Value, entry.Events });
			List<object> key = group.Key.ConvertAll(text => (object)text);
			state.Add(new List<object> { key, group.Fired, group.First, new List<object>(group.Recent), events });
		}
		return state;
	}

	public void Restore(List<object> state)
	{
		Group group = new Group(((List<object>)state[0]).ConvertAll(text => (string)text), state[2]);
		if (state[1] != null)
			group.Fired = Convert.ToDouble(state[1], CultureInfo.InvariantCulture);
		foreach (object evidence in (List<object>)state[3])
			group.Remember(evidence);
		foreach (object entry in (List<object>)state[4])
		{
			List<object> parts = (List<object>)entry;
			group.Entries.Add(new Entry(
				Convert.ToDouble(parts[0], CultureInfo.InvariantCulture), Convert.ToInt32(parts[1]), (string)parts[2],
				Convert.ToInt64(parts[3])));
		}
		Append(group);
	}

	private Group Append(Group group)
	{
		_byKey[Join(group.Key)] = _groups.AddLast(group);
		return group;
	}

	// No two lists of texts are the same text.
	private static string Join(List<string> key)
	{
		StringBuilder joined = new StringBuilder();
		foreach (string text in key)
			joined.Append(text.Length).Append(' ').Append(text);
		return joined.ToString();
	}
}
}
