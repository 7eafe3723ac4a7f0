// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Globalization;
using System.Security.AccessControl;
using System.Text;
using System.Text.RegularExpressions;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyParser
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ChannelSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ObjectSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Subcategories;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>A SACL that group policy sets, as far as it is for everyone.</summary>
	public sealed class ObjectRule
	{
		public bool IsKey;
		public string Path;

		/// <summary>As ObjectSetting has it.</summary>
		public string Acl;

		/// <summary>Whether everything below loses its own entries.</summary>
		public bool ReplacesBelow;
	}

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

		// PATH, whether it is replaced below, SDDL ([MS-GPSB] 2.2.8 and 2.2.9); mode 1 leaves the object alone.
		private static readonly Regex ObjectLine = new Regex(
			@"^""?([^""]+?)""?\s*,\s*([02])\s*,\s*""?([^""]*)", RegexOptions.CultureInvariant);
		private static readonly Regex AuditEntry = new Regex(
			@"\(AU;[^()]*;(WD|S-1-1-0)\)", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase);

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
		/// Read the registry values, log sizes, audit categories and SACLs of a GptTmpl.inf. categories: called with
		/// the name of each category that it has. objects: called for each key (MACHINE\...) or file that it sets the
		/// SACL of. FormatException for a SACL that is none, after the rest.
		/// </summary>
		public static void ReadTemplate(
			byte[] file, Action<string, string> rule, Action<string> categories, Action<ObjectRule> objects)
		{
			FormatException problem = null;
			string section = "";
			foreach (string raw in Decode(file).Split('\n'))
			{
				string line = raw.Trim();
				int equals = line.IndexOf('=');
				if (line.StartsWith("[", StringComparison.Ordinal))
					section = line.Trim('[', ']').ToLowerInvariant();
				else if (section == "registry keys" || section == "file security")
					problem = AddObject(section == "registry keys", line, objects) ?? problem;
				else if (equals > 0)
					AddTemplate(
						section, line.Substring(0, equals).Trim(), line.Substring(equals + 1).Trim(), rule, categories);
			}
			if (problem != null)
				throw problem;
		}

		private static FormatException AddObject(bool isKey, string line, Action<ObjectRule> objects)
		{
			const string Replace = "2";
			Match match = ObjectLine.Match(line);
			// Without a SACL, the one of the object stays.
			if (!match.Success || match.Groups[3].Value.IndexOf("S:", StringComparison.OrdinalIgnoreCase) < 0)
				return null;
			try
			{
				// Only entries for everyone count, and other accounts are not known on every host.
				string entries = "";
				foreach (Match entry in AuditEntry.Matches(match.Groups[3].Value))
					entries += entry.Value;
				byte[] bytes = null;
				if (entries.Length > 0)
				{
					RawAcl acl = new RawSecurityDescriptor("S:" + entries).SystemAcl;
					bytes = new byte[acl.BinaryLength];
					acl.GetBinaryForm(bytes, 0);
				}
				objects(new ObjectRule
				{
					IsKey = isKey,
					Path = match.Groups[1].Value,
					Acl = ObjectSetting.Text(bytes),
					ReplacesBelow = match.Groups[2].Value == Replace
				});
				return null;
			}
			catch (SystemException error)
			{
				if (!(error is ArgumentException || error is FormatException || error is Win32Exception))
					throw;
				return new FormatException("the access list of " + Printable.ShowPath(match.Groups[1].Value) + " is none");
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
