// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyParser
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Subcategories;

	/// <summary>
	/// Reads what group policy has in files: registry.pol ([MS-GPREG] 2.2.1), audit.csv ([MS-GPAC] 2.2) and GptTmpl.inf
	/// ([MS-GPSB] 2.2). Calls take the id of a setting, in lower case, and its value in the setting's own form.
	/// </summary>
	public static class PolicyParser
	{
		private const uint Signature = 0x67655250;
		private const int HeaderSize = 8;
		private const string EventLogPolicy = @"software\policies\microsoft\windows\eventlog\";
		private const string DeleteValue = "**del.";
		private const string Soft = "**soft.";
		private const long Kibibyte = 1024;

		/// <summary>Read a registry.pol; FormatException, with the offset, for what is none, after what came before.
		/// </summary>
		public static void ReadRegistry(byte[] file, Action<string, string> rule)
		{
			if (file.Length < HeaderSize || BitConverter.ToUInt32(file, 0) != Signature)
				throw new FormatException("it is no registry policy");
			int position = HeaderSize;
			while (position < file.Length)
			{
				Expect(file, ref position, '[');
				string key = ReadText(file, ref position).ToLowerInvariant();
				string name = ReadText(file, ref position).ToLowerInvariant();
				uint type = ReadNumber(file, ref position);
				uint size = ReadNumber(file, ref position);
				if (size > file.Length - position)
					throw Damaged(position);
				byte[] data = new byte[size];
				Buffer.BlockCopy(file, position, data, 0, data.Length);
				position += data.Length;
				Expect(file, ref position, ']');
				AddRegistry(key, name, type, data, rule);
			}
		}

		/// <summary>Read an audit.csv: of each subcategory what group policy sets for all accounts.</summary>
		public static void ReadAudit(byte[] file, Action<string, string> rule)
		{
			foreach (string line in Decode(file).Split('\n'))
			{
				// Names of subcategories are in the language of the editor, and may hold commas in quotes: the GUID
				// does not.
				string[] fields = line.Trim().Split(',');
				Guid subcategory;
				int flags;
				int column = Array.FindIndex(
					fields, delegate(string field) { return field.StartsWith("{", StringComparison.Ordinal); });
				if (column < 2 || !fields[1].Trim().Equals("System", StringComparison.OrdinalIgnoreCase)
					|| !Guid.TryParse(fields[column], out subcategory)
					|| !Int32.TryParse(
						fields[fields.Length - 1], NumberStyles.None, CultureInfo.InvariantCulture, out flags))
					continue;
				// 0 leaves it as it is, 4 switches it off.
				if (flags > 0)
					rule(SubcategorySetting.Kind + ":" + Subcategories.Text(subcategory).ToLowerInvariant(),
						Subcategories.Show(flags));
			}
		}

		/// <summary>
		/// Read the registry values, log sizes and audit categories of a GptTmpl.inf. categories: called with the name
		/// of each category that it has.
		/// </summary>
		public static void ReadTemplate(byte[] file, Action<string, string> rule, Action<string> categories)
		{
			string section = "";
			foreach (string raw in Decode(file).Split('\n'))
			{
				string line = raw.Trim();
				int equals = line.IndexOf('=');
				if (line.StartsWith("[", StringComparison.Ordinal))
					section = line.Trim('[', ']').ToLowerInvariant();
				else if (equals > 0)
					AddTemplate(
						section, line.Substring(0, equals).Trim(), line.Substring(equals + 1).Trim(), rule, categories);
			}
		}

		private static void AddTemplate(
			string section, string name, string value, Action<string, string> rule, Action<string> categories)
		{
			long number;
			switch (section)
			{
				case "registry values":
					const string Machine = @"MACHINE\";
					int divider = name.LastIndexOf('\\');
					uint dword;
					if (divider > Machine.Length && name.StartsWith(Machine, StringComparison.OrdinalIgnoreCase)
						&& value.StartsWith("4,", StringComparison.Ordinal)
						&& UInt32.TryParse(
							value.Substring(2), NumberStyles.None, CultureInfo.InvariantCulture, out dword))
						rule(
							ValueId(
								name.Substring(Machine.Length, divider - Machine.Length), name.Substring(divider + 1)),
							ValueSetting.OfNumber(dword));
					break;
				case "event audit":
					categories(name);
					break;
				case "system log":
				case "security log":
				case "application log":
					if (name.Equals("MaximumLogSize", StringComparison.OrdinalIgnoreCase)
						&& Int64.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out number)
						&& number < Int32.MaxValue)
						rule(ChannelSize.Kind + ":" + section.Split(' ')[0], ChannelSize.Text(number * Kibibyte));
					break;
			}
		}

		private static void AddRegistry(string key, string name, uint type, byte[] data, Action<string, string> rule)
		{
			if (name.StartsWith(DeleteValue, StringComparison.Ordinal))
				rule(ValueId(key, name.Substring(DeleteValue.Length)), Setting.Absent);
			else if (name == "**deletevalues")
			{
				foreach (string deleted in Encoding.Unicode.GetString(data).TrimEnd('\0').Split(';'))
					rule(ValueId(key, deleted), Setting.Absent);
			}
			else if (!name.StartsWith("**", StringComparison.Ordinal)
				|| name.StartsWith(Soft, StringComparison.Ordinal))
			{
				if (name.StartsWith(Soft, StringComparison.Ordinal))
					name = name.Substring(Soft.Length);
				string value = ValueSetting.Encode(type, data);
				rule(ValueId(key, name), value);
				if (key.StartsWith(EventLogPolicy, StringComparison.Ordinal))
					AddChannel(key.Substring(EventLogPolicy.Length), name, value, rule);
			}
		}

		/// <summary>Give what a value of the policy of a log means for its channel.</summary>
		public static void AddChannel(string channel, string name, string value, Action<string, string> rule)
		{
			long? number = ValueSetting.AsNumber(value);
			if (number == null)
				return;
			if (name.Equals("MaxSize", StringComparison.OrdinalIgnoreCase))
				rule(ChannelSize.Kind + ":" + channel.ToLowerInvariant(), ChannelSize.Text(number.Value * Kibibyte));
			else if (name.Equals("Enabled", StringComparison.OrdinalIgnoreCase))
				rule(ChannelState.Kind + ":" + channel.ToLowerInvariant(),
					number == 0 ? ChannelState.Disabled : ChannelState.Enabled);
		}

		private static string ValueId(string key, string name)
		{
			return (ValueSetting.Kind + ":" + key.Trim('\\') + @"\\" + name.Trim()).ToLowerInvariant();
		}

		private static string ReadText(byte[] file, ref int position)
		{
			int start = position;
			while (position + 1 < file.Length && (file[position] != 0 || file[position + 1] != 0))
				position += 2;
			string text = Encoding.Unicode.GetString(file, start, Math.Min(position, file.Length) - start);
			position += 2;
			Expect(file, ref position, ';');
			return text;
		}

		private static uint ReadNumber(byte[] file, ref int position)
		{
			if (position > file.Length - 4)
				throw Damaged(position);
			uint number = BitConverter.ToUInt32(file, position);
			position += 4;
			Expect(file, ref position, ';');
			return number;
		}

		private static void Expect(byte[] file, ref int position, char sign)
		{
			if (position > file.Length - 2 || file[position] != sign || file[position + 1] != 0)
				throw Damaged(position);
			position += 2;
		}

		private static FormatException Damaged(int position)
		{
			return new FormatException(
				"it is damaged at byte " + position.ToString(CultureInfo.InvariantCulture));
		}

		private static string Decode(byte[] file)
		{
			if (file.Length > 1 && file[0] == 0xFF && file[1] == 0xFE)
				return Encoding.Unicode.GetString(file, 2, file.Length - 2);
			bool hasMark = file.Length > 2 && file[0] == 0xEF && file[1] == 0xBB && file[2] == 0xBF;
			// Everything that is looked for is ASCII, in whatever code page the rest is.
			return hasMark
				? Encoding.UTF8.GetString(file, 3, file.Length - 3)
				: Encoding.GetEncoding(28591).GetString(file);
		}
	}
}
