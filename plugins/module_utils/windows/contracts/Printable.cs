// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable
{
	/// <summary>Texts of a host that are safe to show and can be turned back, as Python's <c>printable</c>.</summary>
	public static class Printable
	{
		private const string HexDigits = "0123456789abcdefABCDEF";

		/// <summary>
		/// Escape control characters, bidirectional controls, lone surrogates and the backslash with backslashes, for
		/// texts that are no Windows paths.
		/// </summary>
		public static string Show(string text)
		{
			StringBuilder shown = null;
			for (int position = 0; position < text.Length; position++)
			{
				char unit = text[position];
				if (unit != '\\' && !IsUnsafe(text, position))
				{
					if (shown != null)
						shown.Append(unit);
					continue;
				}
				if (shown == null)
					shown = new StringBuilder(text, 0, position, text.Length + 16);
				shown.Append(Escape(unit));
			}
			return shown == null ? text : shown.ToString();
		}

		/// <summary>Return the text that <see cref="Show"/> showed. FormatException for what it never writes.</summary>
		public static string Parse(string shown)
		{
			if (shown.IndexOf('\\') < 0)
				return shown;
			StringBuilder text = new StringBuilder(shown.Length);
			int position = 0;
			while (position < shown.Length)
			{
				if (shown[position] != '\\')
				{
					text.Append(shown[position]);
					position++;
					continue;
				}
				char kind = position + 1 < shown.Length ? shown[position + 1] : ' ';
				int width = kind == 'x' ? 2 : kind == 'u' ? 4 : 0;
				if (width > 0)
				{
					int code = ParseHex(shown, position + 2, width);
					// As Python's surrogateescape shows a byte that is no UTF-8.
					text.Append((char)(kind == 'x' && code >= 0x80 ? 0xDC00 + code : code));
				}
				else if (kind == '\\' || kind == 'n' || kind == 'r' || kind == 't')
					text.Append(kind == '\\' ? '\\' : kind == 'n' ? '\n' : kind == 'r' ? '\r' : '\t');
				else
					throw new FormatException(String.Format(CultureInfo.InvariantCulture,
						"'{0}' has an unknown escape at character {1}; write a backslash as \\\\", shown, position));
				position += 2 + width;
			}
			return text.ToString();
		}

		/// <summary>
		/// Show a Windows path, a registry path or a name of these: the backslash stays, and what <see cref="Show"/>
		/// escapes is written as &lt;U+202E&gt;.
		/// </summary>
		public static string ShowPath(string path)
		{
			StringBuilder shown = null;
			for (int position = 0; position < path.Length; position++)
			{
				char unit = path[position];
				if (!IsUnsafe(path, position) && !StartsEscape(path, position))
				{
					if (shown != null)
						shown.Append(unit);
					continue;
				}
				if (shown == null)
					shown = new StringBuilder(path, 0, position, path.Length + 16);
				shown.Append("<U+").Append(((int)unit).ToString("X4", CultureInfo.InvariantCulture)).Append('>');
			}
			return shown == null ? path : shown.ToString();
		}

		/// <summary>Return the path that <see cref="ShowPath"/> showed. FormatException for what it never writes.
		/// </summary>
		public static string ParsePath(string shown)
		{
			if (shown.IndexOf("<U+", StringComparison.Ordinal) < 0)
				return shown;
			StringBuilder path = new StringBuilder(shown.Length);
			int position = 0;
			while (position < shown.Length)
			{
				if (!StartsEscape(shown, position))
				{
					path.Append(shown[position]);
					position++;
					continue;
				}
				int code = ParseHex(shown, position + 3, 4);
				if (position + 7 >= shown.Length || shown[position + 7] != '>')
					throw Incomplete(shown, position);
				path.Append((char)code);
				position += 8;
			}
			return path.ToString();
		}

		private static bool StartsEscape(string text, int position)
		{
			return String.CompareOrdinal(text, position, "<U+", 0, 3) == 0;
		}

		// Characters that move the cursor, start terminal escapes or reorder what a reader sees (Unicode bidi controls,
		// https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters), the line separators that JavaScript
		// and some log shippers split on, and surrogates without their other half.
		private static bool IsUnsafe(string text, int position)
		{
			char unit = text[position];
			if (unit < 0x7F)
				return unit < 0x20;
			if (unit < 0xA0)
				return true;
			if (Char.IsHighSurrogate(unit))
				return position + 1 >= text.Length || !Char.IsLowSurrogate(text[position + 1]);
			if (Char.IsLowSurrogate(unit))
				return position == 0 || !Char.IsHighSurrogate(text[position - 1]);
			return unit == 0x061C || (unit >= 0x200B && unit <= 0x200F) || (unit >= 0x2028 && unit <= 0x202E)
				|| (unit >= 0x2066 && unit <= 0x2069) || unit == 0xFEFF;
		}

		private static string Escape(char unit)
		{
			switch (unit)
			{
				case '\\':
					return "\\\\";
				case '\n':
					return "\\n";
				case '\r':
					return "\\r";
				case '\t':
					return "\\t";
			}
			if (unit < 0x20 || unit == 0x7F)
				return "\\x" + ((int)unit).ToString("x2", CultureInfo.InvariantCulture);
			if (unit >= 0xDC80 && unit <= 0xDCFF)
				return "\\x" + (unit - 0xDC00).ToString("x2", CultureInfo.InvariantCulture);
			return "\\u" + ((int)unit).ToString("x4", CultureInfo.InvariantCulture);
		}

		private static int ParseHex(string text, int start, int width)
		{
			int code = 0;
			for (int position = start; position < start + width; position++)
			{
				if (position >= text.Length || HexDigits.IndexOf(text[position]) < 0)
					throw Incomplete(text, start - 2);
				code = code * 16 + Convert.ToInt32(text[position].ToString(), 16);
			}
			return code;
		}

		private static FormatException Incomplete(string text, int position)
		{
			return new FormatException(String.Format(CultureInfo.InvariantCulture,
				"'{0}' has an incomplete escape at character {1}; write a backslash as \\\\", text, position));
		}
	}
}
