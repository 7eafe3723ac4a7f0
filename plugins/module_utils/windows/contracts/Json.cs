// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.JsonNumber;

	/// <summary>
	/// JSON as Python's json module reads and writes it. Objects are Dictionary&lt;string, object&gt;, lists
	/// List&lt;object&gt;, numbers long or double, and null, bool and string.
	/// </summary>
	public static class Json
	{
		/// <summary>Deeper documents are refused: nothing of ours comes near, and the stack is not endless.</summary>
		public const int DepthLimit = 200;

		/// <summary>
		/// Parse a document. Of keys that are there twice the last counts; NaN and Infinity are read. FormatException,
		/// with the position, for anything else that is not JSON, for whole numbers beyond 64 bits and for documents
		/// deeper than <see cref="DepthLimit"/>.
		/// </summary>
		public static object Parse(string text)
		{
			return new JsonParser(text).Parse();
		}

		/// <summary>
		/// Write a value with sorted keys, in ASCII and without blanks: as Python's
		/// json.dumps(value, sort_keys=True, separators=(",", ":")). ArgumentException for other types.
		/// </summary>
		public static string Write(object value)
		{
			StringBuilder text = new StringBuilder();
			JsonWriter.Append(text, value, 0);
			return text.ToString();
		}

		/// <summary>Compare by code points, as Python does; .NET's ordinal comparison goes by UTF-16 units.</summary>
		public static int CompareText(string left, string right)
		{
			int shorter = Math.Min(left.Length, right.Length);
			int index = 0;
			while (index < shorter && left[index] == right[index])
				index++;
			if (index == shorter)
				return left.Length.CompareTo(right.Length);
			bool isSecondHalf = Char.IsLowSurrogate(left[index]) || Char.IsLowSurrogate(right[index]);
			if (isSecondHalf && index > 0 && Char.IsHighSurrogate(left[index - 1]))
				index--;
			return CodePoint(left, index).CompareTo(CodePoint(right, index));
		}

		private static int CodePoint(string text, int index)
		{
			if (index + 1 < text.Length && Char.IsSurrogatePair(text[index], text[index + 1]))
				return Char.ConvertToUtf32(text[index], text[index + 1]);
			return text[index];
		}
	}

	internal sealed class JsonParser
	{
		private const string HexDigits = "0123456789abcdefABCDEF";

		private readonly string _text;
		private int _position;

		public JsonParser(string text)
		{
			_text = text;
		}

		public object Parse()
		{
			object value = ParseValue(0);
			SkipBlanks();
			if (_position < _text.Length)
				throw Error("more text after the end of the document");
			return value;
		}

		private object ParseValue(int depth)
		{
			if (depth > Json.DepthLimit)
				throw Error("it is nested too deeply");
			SkipBlanks();
			if (_position >= _text.Length)
				throw Error("it is cut off");
			switch (_text[_position])
			{
				case '{':
					return ParseObject(depth);
				case '[':
					return ParseList(depth);
				case '"':
					return ParseString();
				case 't':
					return ParseWord("true", true);
				case 'f':
					return ParseWord("false", false);
				case 'n':
					return ParseWord("null", null);
				case 'N':
					return ParseWord("NaN", Double.NaN);
				case 'I':
					return ParseWord("Infinity", Double.PositiveInfinity);
				default:
					return ParseNumber();
			}
		}

		private Dictionary<string, object> ParseObject(int depth)
		{
			Dictionary<string, object> members = new Dictionary<string, object>(StringComparer.Ordinal);
			_position++;
			if (Accept('}'))
				return members;
			do
			{
				SkipBlanks();
				if (_position >= _text.Length || _text[_position] != '"')
					throw Error("a name in quotes is missing");
				string name = ParseString();
				Expect(':');
				members[name] = ParseValue(depth + 1);
			}
			while (Accept(','));
			Expect('}');
			return members;
		}

		private List<object> ParseList(int depth)
		{
			List<object> elements = new List<object>();
			_position++;
			if (Accept(']'))
				return elements;
			do
				elements.Add(ParseValue(depth + 1));
			while (Accept(','));
			Expect(']');
			return elements;
		}

		private string ParseString()
		{
			_position++;
			int start = _position;
			while (_position < _text.Length && _text[_position] != '"' && _text[_position] != '\\'
				&& _text[_position] >= 0x20)
				_position++;
			if (_position < _text.Length && _text[_position] == '"')
				return _text.Substring(start, _position++ - start);
			StringBuilder value = new StringBuilder(_text, start, _position - start, _position - start + 64);
			while (_position < _text.Length && _text[_position] != '"')
			{
				char unit = _text[_position++];
				if (unit < 0x20)
					throw Error("a text holds a control character");
				value.Append(unit == '\\' ? ParseEscape() : unit);
			}
			if (_position >= _text.Length)
				throw Error("it is cut off");
			_position++;
			return value.ToString();
		}

		private char ParseEscape()
		{
			if (_position >= _text.Length)
				throw Error("it is cut off");
			char kind = _text[_position++];
			int index = "\"\\/bfnrt".IndexOf(kind);
			if (index >= 0)
				return "\"\\/\b\f\n\r\t"[index];
			int code = 0;
			for (int digit = 0; kind == 'u' && digit < 4; digit++, _position++)
			{
				int number = _position < _text.Length ? HexDigits.IndexOf(_text[_position]) : -1;
				if (number < 0)
					throw Error("an escape is not complete");
				code = code * 16 + (number < 16 ? number : number - 6);
			}
			if (kind != 'u')
				throw Error("an escape is unknown");
			return (char)code;
		}

		private object ParseWord(string word, object value)
		{
			if (String.CompareOrdinal(_text, _position, word, 0, word.Length) != 0)
				throw Error("a value is unknown");
			_position += word.Length;
			return value;
		}

		private object ParseNumber()
		{
			int start = _position;
			if (Peek('-'))
				_position++;
			if (Peek('I'))
			{
				ParseWord("Infinity", null);
				return Double.NegativeInfinity;
			}
			if (Peek('0'))
				_position++;
			else
				SkipDigits();
			bool isWhole = true;
			if (Peek('.'))
			{
				isWhole = false;
				_position++;
				SkipDigits();
			}
			if (Peek('e') || Peek('E'))
			{
				isWhole = false;
				_position++;
				if (Peek('+') || Peek('-'))
					_position++;
				SkipDigits();
			}
			string number = _text.Substring(start, _position - start);
			return isWhole ? (object)ParseWhole(number) : JsonNumber.Parse(number);
		}

		private long ParseWhole(string number)
		{
			long value;
			if (!Int64.TryParse(number, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value))
				throw Error("a whole number has more than 64 bits");
			return value;
		}

		private void SkipDigits()
		{
			int start = _position;
			while (_position < _text.Length && _text[_position] >= '0' && _text[_position] <= '9')
				_position++;
			if (_position == start)
				throw Error(start >= _text.Length ? "it is cut off" : "a value is unknown");
		}

		private void SkipBlanks()
		{
			while (_position < _text.Length && " \t\n\r".IndexOf(_text[_position]) >= 0)
				_position++;
		}

		private bool Peek(char unit)
		{
			return _position < _text.Length && _text[_position] == unit;
		}

		private bool Accept(char unit)
		{
			SkipBlanks();
			if (!Peek(unit))
				return false;
			_position++;
			return true;
		}

		private void Expect(char unit)
		{
			if (!Accept(unit))
				throw Error(_position >= _text.Length ? "it is cut off" : "'" + unit + "' is missing");
		}

		private FormatException Error(string problem)
		{
			return new FormatException(String.Format(CultureInfo.InvariantCulture,
				"the text is not JSON: {0} at character {1}", problem, Math.Min(_position, _text.Length)));
		}
	}

	internal static class JsonWriter
	{
		public static void Append(StringBuilder text, object value, int depth)
		{
			if (depth > Json.DepthLimit)
				throw new ArgumentException("the value is nested too deeply to be written as JSON");
			string name = value as string;
			if (value == null)
				text.Append("null");
			else if (name != null)
				AppendString(text, name);
			else if (value is bool)
				text.Append((bool)value ? "true" : "false");
			else if (value is double || value is float)
				text.Append(JsonNumber.Write(Convert.ToDouble(value, CultureInfo.InvariantCulture)));
			else if (value is long || value is ulong || value is int || value is uint)
				text.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
			else if (value is IDictionary<string, object>)
				AppendObject(text, (IDictionary<string, object>)value, depth);
			else if (value is System.Collections.IEnumerable && !(value is System.Collections.IDictionary))
				AppendList(text, (System.Collections.IEnumerable)value, depth);
			else
				throw new ArgumentException("a value of type " + value.GetType().Name + " has no form in JSON");
		}

		private static void AppendObject(StringBuilder text, IDictionary<string, object> members, int depth)
		{
			List<string> names = new List<string>(members.Keys);
			names.Sort(Json.CompareText);
			text.Append('{');
			for (int index = 0; index < names.Count; index++)
			{
				if (index > 0)
					text.Append(',');
				AppendString(text, names[index]);
				text.Append(':');
				Append(text, members[names[index]], depth + 1);
			}
			text.Append('}');
		}

		private static void AppendList(StringBuilder text, System.Collections.IEnumerable elements, int depth)
		{
			text.Append('[');
			bool isFirst = true;
			foreach (object element in elements)
			{
				if (!isFirst)
					text.Append(',');
				isFirst = false;
				Append(text, element, depth + 1);
			}
			text.Append(']');
		}

		private static void AppendString(StringBuilder text, string value)
		{
			text.Append('"');
			int plain = 0;
			for (int position = 0; position < value.Length; position++)
			{
				char unit = value[position];
				if (unit >= 0x20 && unit < 0x7F && unit != '"' && unit != '\\')
					continue;
				text.Append(value, plain, position - plain);
				plain = position + 1;
				int index = "\"\\\b\f\n\r\t".IndexOf(unit);
				if (index >= 0)
					text.Append('\\').Append("\"\\bfnrt"[index]);
				else
					text.Append("\\u").Append(((int)unit).ToString("x4", CultureInfo.InvariantCulture));
			}
			text.Append(value, plain, value.Length - plain).Append('"');
		}
	}
}
