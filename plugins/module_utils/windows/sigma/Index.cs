// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Index
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values;

/// <summary>Numbers of rules, each once.</summary>
public sealed class NumberSet
{
	public readonly List<int> Numbers = new List<int>();
	private int[] _rounds = new int[64];
	private int _round;

	public void Clear()
	{
		Numbers.Clear();
		_round++;
	}

	public void Add(int number)
	{
		if (number >= _rounds.Length)
			Array.Resize(ref _rounds, Math.Max(number + 1, 2 * _rounds.Length));
		if (_rounds[number] == _round + 1)
			return;
		_rounds[number] = _round + 1;
		Numbers.Add(number);
	}

	public void Add(List<int> numbers)
	{
		foreach (int number in numbers)
			Add(number);
	}
}

/// <summary>What rules ask of one field (plugin_utils/sigma/prefilter.py): whole values, last parts of paths, and
/// characters in them. <c>Add</c> all of it, then ask for candidates.</summary>
public sealed class Lookup
{
	private const int GramLength = 4;
	private const int EndsLength = 4096;

	private readonly Dictionary<string, List<int>> _equals = new Dictionary<string, List<int>>(StringComparer.Ordinal);
	private readonly Dictionary<string, List<int>> _bases = new Dictionary<string, List<int>>(StringComparer.Ordinal);

	// Parts with characters beyond ASCII, by the last of these: a rule may list all emojis.
	private readonly Dictionary<char, Dictionary<string, List<int>>> _parts =
		new Dictionary<char, Dictionary<string, List<int>>>();

	// Up to four ASCII characters as a number, in a table with open addressing that is at most a quarter full.
	private readonly List<List<int>> _ofGrams = new List<List<int>>();
	private uint[] _grams = new uint[16];

	// In which text a gram was seen last: the rules are added once, however often a text repeats it.
	private int[] _seen = new int[16];
	private int _round;
	private int[] _slots = new int[64];
	private int _shift = 32 - 6;

	// By the last two characters, as Ends numbers them: the lengths of those that end so, one bit for each.
	private readonly byte[] _ends = new byte[EndsLength];

	/// <summary>kind: equals, base, part or gram. FormatException for another one.</summary>
	public void Add(string kind, string text, int number)
	{
		switch (kind)
		{
			case "equals":
				Add(_equals, text, number);
				break;
			case "base":
				Add(_bases, text, number);
				break;
			case "part":
			case "gram":
				AddPart(text, number);
				break;
			default:
				throw new FormatException("a compiled rule has the unknown prefilter '" + kind + "'");
		}
	}

	/// <summary>Add the rules that a text, in lower case, may be for.</summary>
	public void AddCandidates(string text, NumberSet candidates)
	{
		List<int> numbers;
		if (_equals.Count > 0 && _equals.TryGetValue(text, out numbers))
			candidates.Add(numbers);
		if (_bases.Count > 0 && _bases.TryGetValue(text.Substring(text.LastIndexOf('/') + 1), out numbers))
			candidates.Add(numbers);
		if (_ofGrams.Count == 0 && _parts.Count == 0)
			return;
		_round++;
		uint gram = 0;
		for (int position = 0; position < text.Length; position++)
		{
			char unit = text[position];
			if (unit >= 0x80 && _parts.Count > 0)
				AddParts(text, position, candidates);
			gram = gram << 8 | (unit < 0x80 ? unit : (uint)'?');
			int lengths = _ends[Ends(gram)];
			if (lengths != 0)
				AddEnding(gram, lengths, candidates);
		}
	}

	private void AddEnding(uint gram, int lengths, NumberSet candidates)
	{
		for (int length = 1; length <= GramLength; length++)
		{
			if ((lengths & 1 << length) == 0)
				continue;
			int index = Find(gram & uint.MaxValue >> 8 * (GramLength - length));
			if (index < 0 || _seen[index] == _round)
				continue;
			_seen[index] = _round;
			candidates.Add(_ofGrams[index]);
		}
	}

	// Of the last two characters alone.
	private static uint Ends(uint gram)
	{
		return (gram >> 3 ^ gram) & EndsLength - 1;
	}

	private void AddParts(string text, int position, NumberSet candidates)
	{
		Dictionary<string, List<int>> parts;
		// Once for each character, however often it is there.
		if (!_parts.TryGetValue(text[position], out parts) || text.IndexOf(text[position]) < position)
			return;
		foreach (KeyValuePair<string, List<int>> part in parts)
		{
			if (text.IndexOf(part.Key, StringComparison.Ordinal) >= 0)
				candidates.Add(part.Value);
		}
	}

	private void AddPart(string text, int number)
	{
		for (int index = text.Length - 1; index >= 0; index--)
		{
			if (text[index] < 0x80)
				continue;
			if (!_parts.ContainsKey(text[index]))
				_parts[text[index]] = new Dictionary<string, List<int>>(StringComparer.Ordinal);
			Add(_parts[text[index]], text, number);
			return;
		}
		AddGram(text.Substring(0, Math.Min(text.Length, GramLength)), number);
	}

	private static void Add(Dictionary<string, List<int>> table, string text, int number)
	{
		List<int> numbers;
		if (!table.TryGetValue(text, out numbers))
			table[text] = numbers = new List<int>();
		numbers.Add(number);
	}

	private void AddGram(string text, int number)
	{
		uint gram = 0;
		foreach (char unit in text)
			gram = gram << 8 | unit;
		int index = Find(gram);
		if (index < 0)
		{
			index = _ofGrams.Count;
			if (index == _grams.Length)
			{
				Array.Resize(ref _grams, 2 * index);
				Array.Resize(ref _seen, 2 * index);
			}
			_grams[index] = gram;
			_ofGrams.Add(new List<int>());
			if (_ofGrams.Count * 4 > _slots.Length)
				Grow();
			else
				Insert(index);
			MarkEnds(text, gram);
		}
		_ofGrams[index].Add(number);
	}

	private void MarkEnds(string text, uint gram)
	{
		byte length = (byte)(1 << text.Length);
		if (text.Length > 1)
			_ends[Ends(gram)] |= length;
		else
		{
			for (uint before = 0; before < 0x80; before++)
				_ends[Ends(before << 8 | gram)] |= length;
		}
	}

	private void Grow()
	{
		_slots = new int[2 * _slots.Length];
		_shift--;
		for (int index = 0; index < _ofGrams.Count; index++)
			Insert(index);
	}

	private void Insert(int index)
	{
		uint slot = (_grams[index] * 2654435761) >> _shift;
		while (_slots[slot] > 0)
			slot = (slot + 1) & (uint)(_slots.Length - 1);
		_slots[slot] = index + 1;
	}

	private int Find(uint gram)
	{
		// Multiplicative hashing (Knuth, TAOCP 6.4).
		uint slot = (gram * 2654435761) >> _shift;
		while (true)
		{
			int index = _slots[slot] - 1;
			if (index < 0 || _grams[index] == gram)
				return index;
			slot = (slot + 1) & (uint)(_slots.Length - 1);
		}
	}
}

/// <summary>The rules of one source, found by what they can't match without. <c>Add</c> them all first.</summary>
public sealed class Index
{
	private readonly Dictionary<int, Lookup> _fields = new Dictionary<int, Lookup>();
	private readonly List<int> _always = new List<int>();

	/// <summary>Add a rule with its prefilter; without one it is always a candidate.</summary>
	public void Add(int number, List<object> prefilter, FieldNames names)
	{
		if (prefilter == null)
		{
			_always.Add(number);
			return;
		}
		foreach (object entry in prefilter)
		{
			List<object> parts = (List<object>)entry;
			int field = names.Number((string)parts[1]);
			Lookup lookup;
			if (!_fields.TryGetValue(field, out lookup))
				_fields[field] = lookup = new Lookup();
			foreach (object text in (List<object>)parts[2])
				lookup.Add((string)parts[0], (string)text, number);
		}
	}

	/// <summary>Add the rules that a view may match.</summary>
	public void AddCandidates(Values values, NumberSet candidates)
	{
		candidates.Add(_always);
		foreach (KeyValuePair<int, Lookup> field in _fields)
		{
			object texts = values.Lower(field.Key);
			string text = texts as string;
			if (text != null)
			{
				field.Value.AddCandidates(text, candidates);
				continue;
			}
			foreach (string each in (string[])texts)
				field.Value.AddCandidates(each, candidates);
		}
	}
}
}
