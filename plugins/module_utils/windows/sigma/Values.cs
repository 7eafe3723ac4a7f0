// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Values
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Casing;

/// <summary>The fields that rules read, by numbers.</summary>
public sealed class FieldNames
{
	/// <summary>Stands for every field, where a rule looks for keywords in the whole event.</summary>
	public const string All = "*";

	public readonly List<string> Names = new List<string>();
	private readonly Dictionary<string, int> _numbers = new Dictionary<string, int>(StringComparer.Ordinal);

	/// <summary>Return the number of a field; a new one for one that was not asked for before.</summary>
	public int Number(string name)
	{
		int number;
		if (!_numbers.TryGetValue(name, out number))
		{
			_numbers[name] = number = Names.Count;
			Names.Add(name);
		}
		return number;
	}
}

/// <summary>
/// The texts of one view's fields, as they are and in lower case: a string, or string[] where there is none or several.
/// </summary>
public sealed class Values
{
	private static readonly string[] None = new string[0];

	private readonly FieldNames _names;
	private object[] _texts = new object[0];
	private object[] _lower = new object[0];
	private List<string> _everything;
	private List<string> _everythingLower;

	public Values(FieldNames names)
	{
		_names = names;
	}

	public IDictionary<string, object> View { get; private set; }

	/// <summary>Begin with another view.</summary>
	public void Reset(IDictionary<string, object> view)
	{
		View = view;
		_everything = null;
		_everythingLower = null;
		if (_texts.Length < _names.Names.Count)
		{
			_texts = new object[_names.Names.Count];
			_lower = new object[_names.Names.Count];
			return;
		}
		Array.Clear(_texts, 0, _texts.Length);
		Array.Clear(_lower, 0, _lower.Length);
	}

	/// <summary>Return a field's value, null where the view has none.</summary>
	public object Value(int field)
	{
		object value;
		return View.TryGetValue(_names.Names[field], out value) ? value : null;
	}

	/// <summary>Return a field as TextsOf returns it.</summary>
	public object Texts(int field)
	{
		object texts = _texts[field];
		if (texts == null)
			_texts[field] = texts = TextsOf(Value(field));
		return texts;
	}

	/// <summary>Return the same in lower case, as Casing has it.</summary>
	public object Lower(int field)
	{
		object lower = _lower[field];
		if (lower != null)
			return lower;
		if (_names.Names[field] == FieldNames.All)
			return _lower[field] = string.Join("\0", Everything(true));
		object texts = Texts(field);
		string text = texts as string;
		if (text != null)
			return _lower[field] = Casing.Lower(text);
		string[] several = (string[])texts;
		string[] lowered = several.Length == 0 ? None : new string[several.Length];
		for (int index = 0; index < several.Length; index++)
			lowered[index] = Casing.Lower(several[index]);
		return _lower[field] = lowered;
	}

	/// <summary>Return the texts of all fields.</summary>
	public List<string> Everything(bool isLower)
	{
		if (_everything == null)
		{
			_everything = new List<string>();
			foreach (object value in View.Values)
				_everything.AddRange(Each(TextsOf(value)));
		}
		if (isLower && _everythingLower == null)
			_everythingLower = _everything.ConvertAll(text => Casing.Lower(text));
		return isLower ? _everythingLower : _everything;
	}

	/// <summary>Return the texts of a value: a string, or string[] where there is none or several.</summary>
	public static object TextsOf(object value)
	{
		if (value == null)
			return None;
		IEnumerable elements = value is string ? null : value as IEnumerable;
		if (elements == null)
			return Text(value);
		List<string> texts = new List<string>();
		foreach (object element in elements)
			texts.Add(Text(element));
		return texts.ToArray();
	}

	/// <summary>Return texts as an array.</summary>
	public static string[] Each(object texts)
	{
		string text = texts as string;
		return text == null ? (string[])texts : new[] { text };
	}

	/// <summary>Return the first so many characters of a text; those of two units count once.</summary>
	public static string Head(string text, int length)
	{
		int end = 0;
		for (; end < text.Length && length > 0; length--)
			end += end + 1 < text.Length && Char.IsSurrogatePair(text[end], text[end + 1]) ? 2 : 1;
		return text.Substring(0, end);
	}

	/// <summary>Return the last so many characters of a text.</summary>
	public static string Tail(string text, int length)
	{
		int start = text.Length;
		for (; start > 0 && length > 0; length--)
			start -= start > 1 && Char.IsSurrogatePair(text[start - 2], text[start - 1]) ? 2 : 1;
		return text.Substring(start);
	}

	private static string Text(object value)
	{
		return value as string ?? Convert.ToString(value, CultureInfo.InvariantCulture);
	}
}
}
