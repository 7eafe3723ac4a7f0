// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.TextTests
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.JsonNumber;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Addresses;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Casing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Patterns;

/// <summary>Tests of texts by what a compiled rule calls them.</summary>
public static class TextTests
{
	/// <summary>Return the test that a text is, contains, ... one of some values. FormatException for an unknown name.
	/// </summary>
	public static TextTest Build(string test, string[] wanted)
	{
		switch (test.EndsWith("_cased", StringComparison.Ordinal) ? test.Substring(0, test.Length - 6) : test)
		{
			case "equals":
				return new EqualsTest(wanted);
			case "contains":
				return new ContainsTest(wanted);
			case "startswith":
				return new StartsWithTest(wanted);
			case "endswith":
				return new EndsWithTest(wanted);
			case "like":
				return AnyOf(new List<string>(wanted).ConvertAll(pattern => (TextTest)new Wildcards(pattern)));
			default:
				throw new FormatException("a compiled rule has the unknown test '" + test + "'");
		}
	}

	/// <summary>Return the test that one of some tests passes.</summary>
	public static TextTest AnyOf(List<TextTest> tests)
	{
		return tests.Count == 1 ? tests[0] : new AnyTest(tests.ToArray());
	}
}

internal sealed class AnyTest : TextTest
{
	private readonly TextTest[] _tests;

	public AnyTest(TextTest[] tests)
	{
		_tests = tests;
	}

	public override bool Passes(string text)
	{
		foreach (TextTest test in _tests)
		{
			if (test.Passes(text))
				return true;
		}
		return false;
	}

	public override bool Passes(string text, string lower)
	{
		foreach (TextTest test in _tests)
		{
			if (test.Passes(text, lower))
				return true;
		}
		return false;
	}
}

internal sealed class EqualsTest : TextTest
{
	private readonly HashSet<string> _wanted;

	public EqualsTest(string[] wanted)
	{
		_wanted = new HashSet<string>(wanted, StringComparer.Ordinal);
	}

	public override bool Passes(string text)
	{
		return _wanted.Contains(text);
	}
}

// One of some texts is somewhere in the text.
internal abstract class PartTest : TextTest
{
	private readonly string[] _wanted;

	protected PartTest(string[] wanted)
	{
		_wanted = wanted;
	}

	public sealed override bool Passes(string text)
	{
		foreach (string wanted in _wanted)
		{
			if (Has(text, wanted))
				return true;
		}
		return false;
	}

	protected abstract bool Has(string text, string wanted);
}

internal sealed class ContainsTest : PartTest
{
	public ContainsTest(string[] wanted) : base(wanted)
	{
	}

	protected override bool Has(string text, string wanted)
	{
		return text.IndexOf(wanted, StringComparison.Ordinal) >= 0;
	}
}

internal sealed class StartsWithTest : PartTest
{
	public StartsWithTest(string[] wanted) : base(wanted)
	{
	}

	protected override bool Has(string text, string wanted)
	{
		return string.CompareOrdinal(text, 0, wanted, 0, wanted.Length) == 0;
	}
}

internal sealed class EndsWithTest : PartTest
{
	public EndsWithTest(string[] wanted) : base(wanted)
	{
	}

	protected override bool Has(string text, string wanted)
	{
		int start = text.Length - wanted.Length;
		return start >= 0 && string.CompareOrdinal(text, start, wanted, 0, wanted.Length) == 0;
	}
}

internal sealed class NetworkTest : TextTest
{
	private readonly List<Network> _networks;

	public NetworkTest(List<Network> networks)
	{
		_networks = networks;
	}

	public override bool Passes(string text)
	{
		Address address = Address.Parse(text);
		return address != null && _networks.Exists(network => network.Contains(address));
	}
}

/// <summary>Compares a number. What Python's <c>float</c> takes is one: blanks around it, 1_000, 1e3, .5, inf, nan.
/// </summary>
public sealed class NumberTest : TextTest
{
	private readonly string _operator;
	private readonly double _number;
	private readonly long? _whole;

	/// <param name="operation">One of &lt;, &lt;=, &gt;, &gt;=.</param>
	/// <param name="number">A long or a double.</param>
	public NumberTest(string operation, object number)
	{
		_operator = operation;
		_whole = number as long?;
		_number = Convert.ToDouble(number, CultureInfo.InvariantCulture);
	}

	public override bool Passes(string text)
	{
		double number;
		if (!TryParse(text, out number) || Double.IsNaN(number) || Double.IsNaN(_number))
			return false;
		int order = number.CompareTo(_number);
		// A whole number may be between two doubles.
		if (order == 0 && _whole != null && Math.Abs(number) < 9e18)
			order = ((long)number).CompareTo(_whole.Value);
		switch (_operator)
		{
			case "<":
				return order < 0;
			case "<=":
				return order <= 0;
			case ">":
				return order > 0;
			default:
				return order >= 0;
		}
	}

	/// <summary>Read a number as Python's <c>float</c>.</summary>
	public static bool TryParse(string text, out double number)
	{
		number = 0;
		StringBuilder plain = new StringBuilder(text.Length);
		for (int index = 0; index < text.Length; index++)
		{
			char unit = text[index];
			bool isBlank = unit < 0x80 ? unit == ' ' || (unit >= '\t' && unit <= '\r')
				: Char.IsWhiteSpace(unit) && unit != '\u180E';
			int digit = unit < 0x80 ? -1 : CharUnicodeInfo.GetDecimalDigitValue(text, index);
			if (digit >= 0 && Char.IsHighSurrogate(unit))
				index++;
			plain.Append(isBlank ? ' ' : digit >= 0 ? (char)('0' + digit) : unit);
		}
		string word = plain.ToString().Trim(' ');
		bool isSigned = word.Length > 0 && (word[0] == '-' || word[0] == '+');
		bool isNegative = isSigned && word[0] == '-';
		if (isSigned)
			word = word.Substring(1);
		switch (Casing.Lower(word))
		{
			case "inf":
			case "infinity":
				number = isNegative ? Double.NegativeInfinity : Double.PositiveInfinity;
				return true;
			case "nan":
				number = Double.NaN;
				return true;
		}
		int position = 0;
		int digits = Digits(word, ref position);
		if (position < word.Length && word[position] == '.')
		{
			position++;
			// No underscore is beside the point.
			if (position < word.Length && word[position] == '_')
				return false;
			digits += Digits(word, ref position);
		}
		bool hasExponent = digits > 0 && position < word.Length && (word[position] | 0x20) == 'e';
		if (hasExponent)
		{
			position++;
			if (position < word.Length && (word[position] == '-' || word[position] == '+'))
				position++;
			digits = Digits(word, ref position);
		}
		if (digits <= 0 || position != word.Length)
			return false;
		number = JsonNumber.Parse(word.Replace("_", ""));
		if (isNegative)
			number = -number;
		return true;
	}

	// The number of digits, one underscore between any two of them.
	private static int Digits(string word, ref int position)
	{
		int start = position;
		int digits = 0;
		while (position < word.Length)
		{
			bool isDigit = word[position] >= '0' && word[position] <= '9';
			bool isBetween = word[position] == '_' && position > start && word[position - 1] != '_'
				&& position + 1 < word.Length && word[position + 1] >= '0' && word[position + 1] <= '9';
			if (!isDigit && !isBetween)
				break;
			digits += isDigit ? 1 : 0;
			position++;
		}
		return digits;
	}
}
}
