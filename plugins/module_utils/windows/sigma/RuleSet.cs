// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.RuleSet
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Conditions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Index;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Patterns;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.ThreatLists;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Wording;

/// <summary>
/// Compiled rules, ready to match: the verdicts of module_utils/sigma/engine.py. A view has strings and lists of
/// strings by the names of fields. Not for several threads.
/// </summary>
public sealed class RuleSet
{
	private readonly List<Rule> _rules;
	private readonly List<Condition> _conditions = new List<Condition>();
	private readonly Dictionary<string, Index> _indexes = new Dictionary<string, Index>(StringComparer.Ordinal);
	private readonly Dictionary<string, HashSet<string>> _fields =
		new Dictionary<string, HashSet<string>>(StringComparer.Ordinal);
	private readonly Dictionary<int, Listed> _listed = new Dictionary<int, Listed>();
	private readonly SortedDictionary<int, string> _unusable = new SortedDictionary<int, string>();
	private readonly NumberSet _candidates = new NumberSet();
	private readonly Values _values;

	/// <summary>By a rule's number: for how many events it took too long to find out whether it matches.</summary>
	public readonly SortedDictionary<int, int> GivenUp = new SortedDictionary<int, int>();

	/// <summary>FormatException for what is not compiled, or is by another version.</summary>
	public RuleSet(Dictionary<string, object> compiled)
	{
		_rules = Compiled.Rules(compiled);
		FieldNames names = new FieldNames();
		_values = new Values(names);
		List<ThreatList> lists = new List<ThreatList>();
		foreach (object entry in Compiled.List(compiled, "lists"))
			lists.Add(new ThreatList((Dictionary<string, object>)entry));
		foreach (object entry in Compiled.List(compiled, "rules"))
		{
			Dictionary<string, object> rule = (Dictionary<string, object>)entry;
			int number = _conditions.Count;
			List<object> node = (List<object>)rule["condition"];
			if ((string)node[0] == "listed")
				_listed[number] = new Listed(lists[Convert.ToInt32(node[1])], (List<object>)node[2], names);
			_conditions.Add(_listed.ContainsKey(number) ? _listed[number] : Condition.Build(node, names));
			string source = (string)rule["source"];
			if (!_indexes.ContainsKey(source))
			{
				_indexes[source] = new Index();
				_fields[source] = new HashSet<string>(StringComparer.Ordinal);
			}
			_indexes[source].Add(number, Compiled.Member(rule, "prefilter") as List<object>, names);
			Condition.AddFields(node, _fields[source]);
			foreach (object field in Compiled.List(rule, "fields"))
				_fields[source].Add((string)field);
		}
	}

	/// <summary>How many rules and correlations there are.</summary>
	public int Count
	{
		get { return _rules.Count; }
	}

	/// <summary>The sources that there are rules for.</summary>
	public ICollection<string> Sources
	{
		get { return _indexes.Keys; }
	}

	/// <summary>
	/// A sentence for each rule that this host can't use, or that took too long for some events.
	/// </summary>
	public List<string> Problems
	{
		get
		{
			List<string> problems = new List<string>(_unusable.Values);
			foreach (KeyValuePair<int, int> given in GivenUp)
				problems.Add(string.Format(CultureInfo.InvariantCulture,
					"rule '{0}' took too long for {1} events, and was not matched with them: its regular expression is "
					+ "slow, or somebody attacked it", _rules[given.Key].Title, given.Value));
			return problems;
		}
	}

	/// <summary>
	/// Return the names of all fields that a rule of the source reads, or that its finding shows; "*" is among them
	/// when a rule looks for keywords in any field.
	/// </summary>
	public ICollection<string> Fields(string source)
	{
		HashSet<string> fields;
		return _fields.TryGetValue(source, out fields) ? fields : new HashSet<string>();
	}

	/// <summary>Return the numbers of the rules that match, in ascending order.</summary>
	public int[] Match(string source, IDictionary<string, object> view)
	{
		List<int> matches = new List<int>();
		Index index;
		if (!_indexes.TryGetValue(source, out index))
			return matches.ToArray();
		_values.Reset(view);
		_candidates.Clear();
		index.AddCandidates(_values, _candidates);
		foreach (int number in _candidates.Numbers)
		{
			try
			{
				if (!_unusable.ContainsKey(number) && _conditions[number].IsTrue(_values))
					matches.Add(number);
			}
			catch (TooLongException)
			{
				int times;
				GivenUp.TryGetValue(number, out times);
				GivenUp[number] = times + 1;
			}
			catch (ArgumentException error)
			{
				_unusable[number] = "rule '" + _rules[number].Title
					+ "' has a regular expression that the host's .NET can't use: " + error.Message;
			}
		}
		matches.Sort();
		return matches.ToArray();
	}

	/// <summary>Return what a rule, or a correlation that the correlator reported, says.</summary>
	public Rule Rule(int number)
	{
		return _rules[number];
	}

	/// <summary>
	/// Return the entries of a threat list that a rule saw in a view; none where it is no rule of a threat list.
	/// </summary>
	public List<Indicator> Indicators(int number, IDictionary<string, object> view)
	{
		Listed listed;
		if (!_listed.TryGetValue(number, out listed))
			return new List<Indicator>();
		_values.Reset(view);
		return listed.Find(_values);
	}

	/// <summary>Return what the finding of a match is about; for correlations, the view is the match's.</summary>
	public string Subject(int number, IDictionary<string, object> view)
	{
		return Wording.Subject(_rules[number], Explained(view, Indicators(number, view)));
	}

	/// <summary>Return the sentence that a rule has for a match, null where it has none.</summary>
	public string Message(int number, IDictionary<string, object> view)
	{
		List<Indicator> indicators = Indicators(number, view);
		string message = Wording.Message(_rules[number], Explained(view, indicators));
		string note = indicators.Count > 0 ? indicators[0].Note : "";
		return string.IsNullOrEmpty(message) || note.Length == 0 ? message : message + " (" + note + ")";
	}

	private static IDictionary<string, object> Explained(IDictionary<string, object> view, List<Indicator> indicators)
	{
		if (indicators.Count == 0)
			return view;
		Dictionary<string, object> explained = new Dictionary<string, object>(view);
		explained["Indicator"] = indicators[0].Value;
		return explained;
	}
}
}
