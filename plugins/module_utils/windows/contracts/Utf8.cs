// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Utf8
{
	/// <summary>UTF-8 as Python's "surrogatepass" reads it: lone surrogates, as in names of Windows, stay.</summary>
	public static class Utf8
	{
		private static readonly Encoding Strict = new UTF8Encoding(false, true);

		/// <summary>Decode bytes. FormatException for what is no UTF-8.</summary>
		public static string Decode(byte[] content)
		{
			try
			{
				return Strict.GetString(content);
			}
			catch (ArgumentException)
			{
				return DecodeSurrogates(content);
			}
		}

		private static string DecodeSurrogates(byte[] content)
		{
			StringBuilder text = new StringBuilder(content.Length);
			int start = 0;
			try
			{
				for (int index = 0; index + 2 < content.Length; index++)
				{
					// ED A0..BF xx: U+D800 to U+DFFF. ED begins no other sequence's rest, so it is where one begins.
					bool isSurrogate = content[index] == 0xED && (content[index + 1] & 0xE0) == 0xA0
						&& (content[index + 2] & 0xC0) == 0x80;
					if (!isSurrogate)
						continue;
					text.Append(Strict.GetString(content, start, index - start));
					text.Append((char)(0xD000 | (content[index + 1] & 0x3F) << 6 | (content[index + 2] & 0x3F)));
					start = index + 3;
					index += 2;
				}
				text.Append(Strict.GetString(content, start, content.Length - start));
			}
			catch (ArgumentException error)
			{
				throw new FormatException("the text is not UTF-8", error);
			}
			return text.ToString();
		}
	}
}
