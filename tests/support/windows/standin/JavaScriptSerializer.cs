// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace System.Web.Script.Serialization
{
    /// <summary>JSON in the types of .NET Framework's class of this name: int, long, decimal or double for numbers,
    /// object[] for arrays, Dictionary for objects. It reads what Python's json wrote, and nothing malformed.</summary>
    public class JavaScriptSerializer
    {
        private string _text;
        private int _position;

        public int MaxJsonLength { get; set; }
        public int RecursionLimit { get; set; }

        public T Deserialize<T>(string text)
        {
            _text = text;
            _position = 0;
            return (T)Value();
        }

        public string Serialize(object value)
        {
            StringBuilder builder = new StringBuilder();
            Write(builder, value);
            return builder.ToString();
        }

        private char Next()
        {
            while (_text[_position] <= ' ')
                _position++;
            return _text[_position];
        }

        private void Expect(string text)
        {
            Next();
            if (string.CompareOrdinal(_text, _position, text, 0, text.Length) != 0)
                throw new ArgumentException("JSON has no '" + text + "' at " + _position);
            _position += text.Length;
        }

        private object Value()
        {
            switch (Next())
            {
                case '{':
                    return Table();
                case '[':
                    return List();
                case '"':
                    return Text();
                case 't':
                    Expect("true");
                    return true;
                case 'f':
                    Expect("false");
                    return false;
                case 'n':
                    Expect("null");
                    return null;
                default:
                    return Number();
            }
        }

        private Dictionary<string, object> Table()
        {
            Dictionary<string, object> table = new Dictionary<string, object>();
            Expect("{");
            while (Next() != '}')
            {
                if (table.Count > 0)
                    Expect(",");
                Next();
                string key = Text();
                Expect(":");
                table[key] = Value();
            }
            Expect("}");
            return table;
        }

        private object[] List()
        {
            List<object> list = new List<object>();
            Expect("[");
            while (Next() != ']')
            {
                if (list.Count > 0)
                    Expect(",");
                list.Add(Value());
            }
            Expect("]");
            return list.ToArray();
        }

        private string Text()
        {
            StringBuilder builder = new StringBuilder();
            Expect("\"");
            while (_text[_position] != '"')
            {
                char character = _text[_position++];
                builder.Append(character == '\\' ? Escaped() : character);
            }
            _position++;
            return builder.ToString();
        }

        private char Escaped()
        {
            char character = _text[_position++];
            switch (character)
            {
                case 'n':
                    return '\n';
                case 't':
                    return '\t';
                case 'r':
                    return '\r';
                case 'b':
                    return '\b';
                case 'f':
                    return '\f';
                case 'u':
                    _position += 4;
                    return (char)Convert.ToInt32(_text.Substring(_position - 4, 4), 16);
                default:
                    return character;
            }
        }

        private object Number()
        {
            int begin = _position;
            while (_position < _text.Length && "+-.eE0123456789".IndexOf(_text[_position]) >= 0)
                _position++;
            string digits = _text.Substring(begin, _position - begin);
            int number;
            long large;
            decimal exact;
            if (int.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number))
                return number;
            if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out large))
                return large;
            if (decimal.TryParse(digits, NumberStyles.Number, CultureInfo.InvariantCulture, out exact))
                return exact;
            return double.Parse(digits, NumberStyles.Float, CultureInfo.InvariantCulture);
        }

        private static void Write(StringBuilder builder, object value)
        {
            if (value == null)
                builder.Append("null");
            else if (value is bool)
                builder.Append((bool)value ? "true" : "false");
            else if (value is IDictionary)
                WriteTable(builder, (IDictionary)value);
            else if (value is string || value is char || value is Guid || value is Uri || value is DateTime)
                WriteText(builder, Convert.ToString(value, CultureInfo.InvariantCulture));
            else if (value is IEnumerable)
                WriteList(builder, (IEnumerable)value);
            else if (value is double || value is float)
                builder.Append(Convert.ToDouble(value).ToString("R", CultureInfo.InvariantCulture));
            else if (value is Enum)
                builder.Append(Convert.ToInt64(value).ToString(CultureInfo.InvariantCulture));
            else if (value.GetType().IsPrimitive || value is decimal)
                builder.Append(Convert.ToString(value, CultureInfo.InvariantCulture));
            else
                throw new ArgumentException("A result holds " + value.GetType().FullName + ", which is no JSON value");
        }

        private static void WriteTable(StringBuilder builder, IDictionary table)
        {
            string separator = "{";
            foreach (DictionaryEntry entry in table)
            {
                builder.Append(separator);
                WriteText(builder, entry.Key.ToString());
                builder.Append(':');
                Write(builder, entry.Value);
                separator = ",";
            }
            builder.Append(separator == "{" ? "{}" : "}");
        }

        private static void WriteList(StringBuilder builder, IEnumerable list)
        {
            string separator = "[";
            foreach (object value in list)
            {
                builder.Append(separator);
                Write(builder, value);
                separator = ",";
            }
            builder.Append(separator == "[" ? "[]" : "]");
        }

        private static void WriteText(StringBuilder builder, string text)
        {
            builder.Append('"');
            foreach (char character in text)
            {
                if (character == '"' || character == '\\')
                    builder.Append('\\').Append(character);
                else if (character < ' ' || character > '~')
                    builder.Append("\\u").Append(((int)character).ToString("x4", CultureInfo.InvariantCulture));
                else
                    builder.Append(character);
            }
            builder.Append('"');
        }
    }
}
