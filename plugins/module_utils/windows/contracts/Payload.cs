// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO.Compression;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Payload
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Utf8;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Zlib;

	/// <summary>The option <c>_content</c>: compiled content as one argument of a module.</summary>
	public static class Payload
	{
		private const string Refusal = "the option _content is for the collection's own use";

		/// <summary>Return what plugin_utils/payload.py packed. HostException for anything else.</summary>
		public static Dictionary<string, object> Unpack(string content)
		{
			object compiled;
			try
			{
				compiled = Json.Parse(Utf8.Decode(Zlib.Decompress(DecodeBase64(content), 0, Int32.MaxValue)));
			}
			catch (FormatException error)
			{
				throw new HostException(Refusal + ": " + error.Message, error);
			}
			Dictionary<string, object> mapping = compiled as Dictionary<string, object>;
			if (mapping == null)
				throw new HostException(Refusal);
			return mapping;
		}

		private static byte[] DecodeBase64(string text)
		{
			// FromBase64String passes over blanks, which packed content has none of.
			if (text.IndexOfAny(new char[] { ' ', '\t', '\n', '\r' }) >= 0)
				throw new FormatException("the base64 text holds blanks");
			return Convert.FromBase64String(text);
		}
	}
}
