// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Patterns
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Casing;

/// <summary>A search was given up: whether the text has what was looked for is not known.</summary>
public sealed class TooLongException : Exception
{
}

/// <summary>A test of one text.</summary>
public abstract class TextTest
{
	/// <summary>TooLongException; ArgumentException for an expression that .NET does not read.</summary>
	public abstract bool Passes(string text);

	/// <summary>The same for who has the text in lower case, too.</summary>
	public virtual bool Passes(string text, string lower)
	{
		return Passes(text);
	}
}

/// <summary>
/// A regular expression that plugin_utils/sigma/dotnet.py let through, found where Python finds it. Compiled at its
/// first use: most are for programs that hardly any log has.
/// </summary>
public sealed class Pattern : TextTest
{
	// As in module_utils/sigma/search_timeout.py.
	private const int Milliseconds = 50;
	private const int TimeoutsLimit = 10;
	private const int ShorterMilliseconds = 5;

	// Programs, users and most command lines are the same again and again.
	private const int KnownLimit = 64;
	private const int LongestKnown = 300;

	// .NET measures time by the clock. On a busy host a search that was hardly begun would be given up.
	private const int Attempts = 3;

	// What stands for characters of which Python and .NET differ, and for those of two units. The controller refuses
	// expressions that name them (plugin_utils/sigma/dotnet.py).
	private const char Digit = '\uFF19';
	private const char Letter = '\uFFDC';
	private const char Other = '\uFFFE';

	private readonly string _expression;
	private readonly RegexOptions _options;
	private readonly bool _hasClasses;
	private readonly Dictionary<string, bool> _known = new Dictionary<string, bool>(StringComparer.Ordinal);
	private readonly List<string[]> _literals = new List<string[]>();
	private Regex _regex;
	private int _milliseconds = Milliseconds;
	private int _timeouts;

	/// <param name="expression">As Python and .NET read it the same.</param>
	/// <param name="flags">Some of i, m, s.</param>
	/// <param name="literals">Lists of texts in lower case: what is matched contains one of each. Null for none.</param>
	public Pattern(string expression, string flags, List<object> literals = null)
	{
		_expression = expression;
		if (literals != null)
			_literals = literals.ConvertAll(texts => ((List<object>)texts).ConvertAll(text => (string)text).ToArray());
		_options = RegexOptions.CultureInvariant;
		if (flags.IndexOf('i') >= 0 || HasInlineFlag(expression, 'i'))
			_options |= RegexOptions.IgnoreCase;
		if (flags.IndexOf('m') >= 0)
			_options |= RegexOptions.Multiline;
		if (flags.IndexOf('s') >= 0)
			_options |= RegexOptions.Singleline;
		foreach (string name in new[] { "\\w", "\\W", "\\b", "\\B", "\\s" })
			_hasClasses |= expression.IndexOf(name, StringComparison.Ordinal) >= 0;
	}

	public override bool Passes(string text, string lower)
	{
		foreach (string[] texts in _literals)
		{
			bool isThere = false;
			for (int index = 0; index < texts.Length && !isThere; index++)
				isThere = lower.IndexOf(texts[index], StringComparison.Ordinal) >= 0;
			if (!isThere)
				return false;
		}
		return Passes(text);
	}

	public override bool Passes(string text)
	{
		if (text.Length > LongestKnown)
			return IsMatch(text);
		bool isMatch;
		if (_known.TryGetValue(text, out isMatch))
			return isMatch;
		isMatch = IsMatch(text);
		if (_known.Count == KnownLimit)
			_known.Clear();
		_known[text] = isMatch;
		return isMatch;
	}

	private bool IsMatch(string text)
	{
		string plain = Plain(text);
		try
		{
			return Compiled().IsMatch(plain);
		}
		catch (RegexMatchTimeoutException)
		{
			return Again(plain);
		}
	}

	/// <summary>
	/// Return all that is matched, in any time. Only for expressions that take no character which <c>Plain</c>
	/// replaces.
	/// </summary>
	public IEnumerable<string> Matches(string text)
	{
		if (_regex == null)
			_regex = new Regex(_expression, _options);
		for (Match match = _regex.Match(Plain(text)); match.Success; match = match.NextMatch())
			yield return match.Value;
	}

	// Flags for the whole expression are at its beginning: (?im).
	private static bool HasInlineFlag(string expression, char flag)
	{
		int index = expression.StartsWith("(?", StringComparison.Ordinal) ? 2 : expression.Length;
		bool isThere = false;
		for (; index < expression.Length && expression[index] >= 'a' && expression[index] <= 'z'; index++)
			isThere |= expression[index] == flag;
		return isThere && index < expression.Length && expression[index] == ')';
	}

	private Regex Compiled()
	{
		if (_regex == null)
			_regex = new Regex(_expression, _options, TimeSpan.FromMilliseconds(_milliseconds));
		return _regex;
	}

	private bool Again(string text)
	{
		for (int attempt = 0; attempt < Attempts; attempt++)
		{
			TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
			try
			{
				return _regex.IsMatch(text);
			}
			catch (RegexMatchTimeoutException)
			{
				TimeSpan used = Process.GetCurrentProcess().TotalProcessorTime - before;
				if (used.TotalMilliseconds * 2 >= _milliseconds)
					break;
			}
		}
		if (++_timeouts == TimeoutsLimit)
		{
			// Somebody writes what it takes long for again and again.
			_milliseconds = ShorterMilliseconds;
			_regex = null;
		}
		throw new TooLongException();
	}

	// The text with those characters replaced of which Python and .NET have other ideas. Nearly all texts are ASCII.
	private string Plain(string text)
	{
		int start = 0;
		while (start < text.Length && text[start] < 0x80)
			start++;
		if (start == text.Length)
			return text;
		bool folds = (_options & RegexOptions.IgnoreCase) != 0;
		char[] plain = text.ToCharArray();
		int length = start;
		for (int index = start; index < text.Length; index++)
		{
			char unit = text[index];
			bool isPair = Char.IsHighSurrogate(unit) && index + 1 < text.Length && Char.IsLowSurrogate(text[index + 1]);
			if (isPair)
				unit = Single(CharUnicodeInfo.GetUnicodeCategory(text, index++));
			else if (unit >= 0x80)
			{
				if (_hasClasses)
					unit = Classified(unit);
				if (folds)
					unit = Casing.Fold(unit);
			}
			plain[length++] = unit;
		}
		return new string(plain, 0, length);
	}

	// Python's \w has letters, all numbers and the underscore; .NET's has letters, digits, marks and connectors.
	private static char Classified(char unit)
	{
		switch (CharUnicodeInfo.GetUnicodeCategory(unit))
		{
			case UnicodeCategory.LetterNumber:
			case UnicodeCategory.OtherNumber:
				return Letter;
			case UnicodeCategory.NonSpacingMark:
			case UnicodeCategory.SpacingCombiningMark:
			case UnicodeCategory.ConnectorPunctuation:
				return Other;
			default:
				// Joiners are letters for .NET's \b; U+180E was a blank before Unicode 6.3.
				return unit == '\u200C' || unit == '\u200D' || unit == '\u180E' ? Other : unit;
		}
	}

	private static char Single(UnicodeCategory category)
	{
		switch (category)
		{
			case UnicodeCategory.DecimalDigitNumber:
				return Digit;
			case UnicodeCategory.UppercaseLetter:
			case UnicodeCategory.LowercaseLetter:
			case UnicodeCategory.TitlecaseLetter:
			case UnicodeCategory.ModifierLetter:
			case UnicodeCategory.OtherLetter:
			case UnicodeCategory.LetterNumber:
			case UnicodeCategory.OtherNumber:
				return Letter;
			default:
				return Other;
		}
	}
}

/// <summary>
/// A text with wildcards, as plugin_utils/sigma/nodes.py writes it: escaped characters, <c>.</c>, <c>.*</c>, and
/// <c>\A</c> and <c>\Z</c> at its ends. In less time than a regular expression, for any text.
/// </summary>
public sealed class Wildcards : TextTest
{
	// Stands for any character; none of a rule.
	private const char Any = '\uFFFF';

	private readonly List<string> _parts = new List<string>();
	private readonly bool _begins;
	private readonly bool _ends;

	public Wildcards(string expression)
	{
		_begins = expression.StartsWith("\\A", StringComparison.Ordinal);
		System.Text.StringBuilder part = new System.Text.StringBuilder();
		for (int index = _begins ? 2 : 0; index < expression.Length; index++)
		{
			char unit = expression[index];
			if (unit == '\\' && index + 2 == expression.Length && expression[index + 1] == 'Z')
			{
				_ends = true;
				break;
			}
			bool isMany = unit == '.' && index + 1 < expression.Length && expression[index + 1] == '*';
			if (isMany)
			{
				_parts.Add(part.ToString());
				part.Length = 0;
				index++;
			}
			else if (unit == '\\')
				part.Append(expression[++index]);
			else
				part.Append(unit == '.' ? Any : unit);
		}
		_parts.Add(part.ToString());
	}

	public override bool Passes(string text)
	{
		int position = 0;
		int last = _parts.Count - 1;
		for (int index = 0; index <= last; index++)
		{
			string part = _parts[index];
			if (index == last && _ends && !(index == 0 && _begins))
				return EndsAfter(text, part, position);
			position = index == 0 && _begins ? End(text, 0, part) : Find(text, position, part);
			if (position < 0)
				return false;
		}
		return !_ends || position == text.Length;
	}

	// Where a part ends that begins at a position; -1 where it does not.
	private static int End(string text, int position, string part)
	{
		foreach (char unit in part)
		{
			if (position >= text.Length || (unit != Any && unit != text[position]))
				return -1;
			position += unit == Any && IsPair(text, position) ? 2 : 1;
		}
		return position;
	}

	private static int Find(string text, int start, string part)
	{
		for (int position = start; position <= text.Length; position++)
		{
			if (part.Length > 0 && part[0] != Any)
			{
				position = text.IndexOf(part[0], position);
				if (position < 0)
					return -1;
			}
			else if (position > start && IsPair(text, position - 1))
				continue;
			int end = End(text, position, part);
			if (end >= 0)
				return end;
		}
		return -1;
	}

	private static bool EndsAfter(string text, string part, int start)
	{
		int position = text.Length;
		for (int index = part.Length - 1; index >= 0; index--)
		{
			if (position <= start || (part[index] != Any && part[index] != text[position - 1]))
				return false;
			position -= part[index] == Any && position - 2 >= start && IsPair(text, position - 2) ? 2 : 1;
		}
		return true;
	}

	private static bool IsPair(string text, int position)
	{
		return position + 1 < text.Length && Char.IsHighSurrogate(text[position])
			&& Char.IsLowSurrogate(text[position + 1]);
	}
}
}
