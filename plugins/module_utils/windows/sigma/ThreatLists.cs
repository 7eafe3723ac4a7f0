// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.ThreatLists
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Addresses;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Casing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Conditions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Index;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Patterns;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values;

/// <summary>An entry that was seen, with what its list says about it.</summary>
public sealed class Indicator
{
	public readonly string Value;
	public readonly string Note;

	public Indicator(string value, string note)
	{
		Value = value;
		Note = note;
	}
}

/// <summary>A condition: an entry of a list is in one of some fields (module_utils/sigma/threats.py).</summary>
public sealed class Listed : Condition
{
	private const int IndicatorsLimit = 10;

	// A field that is one thing; in others, things are looked for.
	private static readonly string[] Whole =
	{
		"DestinationIp", "SourceIp", "Address", "DestinationHostname", "SourceHostname", "Image", "TargetFilename",
	};

	private readonly ThreatList _list;
	private readonly List<KeyValuePair<int, bool>> _fields = new List<KeyValuePair<int, bool>>();

	public Listed(ThreatList list, List<object> fields, FieldNames names)
	{
		_list = list;
		foreach (object field in fields)
			_fields.Add(new KeyValuePair<int, bool>(
				names.Number((string)field), Array.IndexOf(Whole, (string)field) >= 0));
	}

	public override bool IsTrue(Values values)
	{
		foreach (string entry in Entries(values))
			return true;
		return false;
	}

	/// <summary>Return each entry once, the first ten.</summary>
	public List<Indicator> Find(Values values)
	{
		List<Indicator> indicators = new List<Indicator>();
		HashSet<string> known = new HashSet<string>(StringComparer.Ordinal);
		foreach (string entry in Entries(values))
		{
			if (known.Add(entry))
				indicators.Add(new Indicator(entry, _list.Note(entry)));
			if (indicators.Count == IndicatorsLimit)
				break;
		}
		return indicators;
	}

	private IEnumerable<string> Entries(Values values)
	{
		foreach (KeyValuePair<int, bool> field in _fields)
		{
			foreach (string text in Values.Each(values.Texts(field.Key)))
			{
				foreach (string entry in _list.Entries(text, field.Value))
					yield return entry;
			}
		}
	}
}

/// <summary>A list of one kind of entries, as plugin_utils/threat_lists/rules.py compiled it.</summary>
public sealed class ThreatList
{
	private const int LongestDomain = 253;
	private const int ShortestHash = 32;

	// As in module_utils/sigma/threats.py, in a form that .NET reads the same. What begins in the middle of a word is
	// not looked at.
	private static readonly Pattern Addresses = new Pattern(
		@"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*)(?!\w|\.\d)", "");
	private static readonly Pattern Domains = new Pattern(@"(?<![a-z0-9_.-])[a-z0-9_-]+(?:\.[a-z0-9_-]+)+", "");
	private static readonly Pattern Hashes = new Pattern("(?<![0-9a-z])[0-9a-f]{32,128}(?![0-9a-z])", "");

	private readonly Dictionary<string, object> _entries;
	private readonly Func<string, bool, IEnumerable<string>> _look;

	// Single addresses, and networks by how long their prefix is.
	private readonly Dictionary<Address, string> _single = new Dictionary<Address, string>();
	private readonly Dictionary<int, Dictionary<Address, string>> _networks =
		new Dictionary<int, Dictionary<Address, string>>();

	// Names, by their last part, each with how a path ends that has it.
	private readonly Dictionary<string, List<KeyValuePair<string, string>>> _names =
		new Dictionary<string, List<KeyValuePair<string, string>>>(StringComparer.Ordinal);

	// Expressions, of which only those are tried whose literal characters are there.
	private readonly List<string> _expressions = new List<string>();
	private readonly Dictionary<int, Pattern> _patterns = new Dictionary<int, Pattern>();
	private readonly Lookup _lookup = new Lookup();
	private readonly List<int> _always = new List<int>();
	private readonly NumberSet _candidates = new NumberSet();
	private int _needed;

	public ThreatList(Dictionary<string, object> compiled)
	{
		_entries = (Dictionary<string, object>)compiled["entries"];
		switch ((string)compiled["kind"])
		{
			case "address":
				foreach (string entry in _entries.Keys)
					AddAddress(entry);
				_look = LookForAddresses;
				break;
			case "domain":
				_look = LookForDomains;
				break;
			case "hash":
				_look = LookForHashes;
				break;
			case "name":
				foreach (string entry in _entries.Keys)
					AddName(entry);
				_look = LookForNames;
				break;
			default:
				foreach (object clauses in Compiled.List(compiled, "needed"))
					AddNeeded((List<object>)clauses);
				_expressions.AddRange(_entries.Keys);
				_look = LookForPatterns;
				break;
		}
	}

	/// <summary>Return what the list says about an entry.</summary>
	public string Note(string entry)
	{
		return (string)_entries[entry];
	}

	/// <summary>Return the entries that a text has. whole: the text is one address, host or path.</summary>
	public IEnumerable<string> Entries(string text, bool whole)
	{
		return _look(text, whole);
	}

	private void AddAddress(string entry)
	{
		int slash = entry.IndexOf('/');
		Address address = Address.Parse(slash < 0 ? entry : entry.Substring(0, slash));
		if (address == null)
			return;
		if (slash < 0)
		{
			_single[address] = entry;
			return;
		}
		int prefix = int.Parse(entry.Substring(slash + 1));
		// Those of IPv4 and IPv6 are apart.
		int key = address.Bits * 256 + prefix;
		if (!_networks.ContainsKey(key))
			_networks[key] = new Dictionary<Address, string>();
		_networks[key][address.Network(prefix)] = entry;
	}

	private void AddName(string entry)
	{
		string path = Plain(entry);
		string name = path.Substring(path.LastIndexOf('\\') + 1);
		if (!_names.ContainsKey(name))
			_names[name] = new List<KeyValuePair<string, string>>();
		_names[name].Add(new KeyValuePair<string, string>(
			entry, IsComplete(path) ? path : "\\" + path.TrimStart('\\')));
	}

	private static string Plain(string path)
	{
		return Casing.Lower(path).Replace('/', '\\');
	}

	// With a drive or share.
	private static bool IsComplete(string path)
	{
		return path.StartsWith("\\\\", StringComparison.Ordinal)
			|| (path.Length > 1 && path[1] == ':' && path[0] != '\\');
	}

	private void AddNeeded(List<object> clauses)
	{
		int number = _needed++;
		List<string> best = null;
		int longest = -1;
		foreach (object clause in clauses)
		{
			List<string> texts = ((List<object>)clause).ConvertAll(text => (string)text);
			int shortest = int.MaxValue;
			foreach (string text in texts)
				shortest = Math.Min(shortest, text.Length);
			if (shortest <= longest)
				continue;
			longest = shortest;
			best = texts;
		}
		if (best == null)
			_always.Add(number);
		foreach (string text in best ?? new List<string>())
			_lookup.Add(text.Length >= 4 ? "gram" : "part", text.Substring(0, Math.Min(4, text.Length)), number);
	}

	private IEnumerable<string> LookForAddresses(string text, bool whole)
	{
		foreach (string word in whole ? new[] { text } : Addresses.Matches(Casing.Lower(text)))
		{
			Address address = Address.Parse(word);
			if (address == null)
				continue;
			string entry;
			if (_single.TryGetValue(address, out entry))
				yield return entry;
			foreach (KeyValuePair<int, Dictionary<Address, string>> networks in _networks)
			{
				if (networks.Key / 256 == address.Bits
					&& networks.Value.TryGetValue(address.Network(networks.Key % 256), out entry))
					yield return entry;
			}
		}
	}

	private IEnumerable<string> LookForDomains(string text, bool whole)
	{
		text = Casing.Lower(text);
		foreach (string host in whole ? new[] { text } : Domains.Matches(text))
		{
			string name = host.Length <= LongestDomain ? host.Trim('.') : "";
			while (name.Length > 0)
			{
				if (_entries.ContainsKey(name))
					yield return name;
				int dot = name.IndexOf('.');
				name = dot < 0 ? "" : name.Substring(dot + 1);
			}
		}
	}

	private IEnumerable<string> LookForHashes(string text, bool whole)
	{
		if (text.Length < ShortestHash)
			yield break;
		foreach (string digest in Hashes.Matches(Casing.Lower(text)))
		{
			if (_entries.ContainsKey(digest))
				yield return digest;
		}
	}

	private IEnumerable<string> LookForNames(string text, bool whole)
	{
		text = Plain(text);
		foreach (string path in whole ? new[] { text } : Paths(text))
		{
			int separator = path.LastIndexOf('\\');
			List<KeyValuePair<string, string>> entries;
			if ((separator < 0 && !whole) || !_names.TryGetValue(path.Substring(separator + 1), out entries))
				continue;
			foreach (KeyValuePair<string, string> entry in entries)
			{
				if (IsComplete(entry.Value)
					? path == entry.Value
					: ("\\" + path).EndsWith(entry.Value, StringComparison.Ordinal))
					yield return entry.Key;
			}
		}
	}

	// Words, and what is between quotation marks: paths have blanks.
	private static IEnumerable<string> Paths(string text)
	{
		int start = 0;
		for (int index = 0; index <= text.Length; index++)
		{
			if (index < text.Length && !IsBetweenWords(text[index]))
				continue;
			if (index > start)
				yield return text.Substring(start, index - start);
			start = index + 1;
		}
		int open = text.IndexOf('"');
		int close;
		while (open >= 0 && (close = text.IndexOf('"', open + 1)) >= 0)
		{
			bool isEmpty = close == open + 1;
			if (!isEmpty)
				yield return text.Substring(open + 1, close - open - 1);
			open = isEmpty ? close : text.IndexOf('"', close + 1);
		}
	}

	// What Python's \s is, and signs of shells.
	private static bool IsBetweenWords(char unit)
	{
		return "\"'=;|&<>()`".IndexOf(unit) >= 0 || (unit >= '\x1C' && unit <= '\x1F')
			|| (Char.IsWhiteSpace(unit) && unit != '\u180E');
	}

	private IEnumerable<string> LookForPatterns(string text, bool whole)
	{
		_candidates.Clear();
		_candidates.Add(_always);
		_lookup.AddCandidates(Casing.Lower(text), _candidates);
		int[] numbers = _candidates.Numbers.ToArray();
		Array.Sort(numbers);
		foreach (int number in numbers)
		{
			if (Matches(number, text))
				yield return _expressions[number];
		}
	}

	// Compiled when it is needed: of thousands, few ever are.
	private bool Matches(int number, string text)
	{
		Pattern pattern;
		if (!_patterns.TryGetValue(number, out pattern))
			_patterns[number] = pattern = new Pattern(_expressions[number], "is");
		try
		{
			return pattern != null && pattern.Passes(text);
		}
		catch (ArgumentException)
		{
			_patterns[number] = null;
			return false;
		}
	}
}
}
