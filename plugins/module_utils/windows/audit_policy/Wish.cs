// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Wish
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ChannelSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.ObjectSetting;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Settings;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Subcategories;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;

	/// <summary>The settings that the options of a module ask for on a host. UsageException for options that are wrong.
	/// </summary>
	public sealed class Wish
	{
		private const long Mebibyte = 1 << 20;
		private const long LargestSize = 4L << 40;
		private const string Machine = @"HKLM\";

		/// <summary>Each once, in their order.</summary>
		public readonly List<Setting> Settings = new List<Setting>();

		private readonly Dictionary<string, Setting> _known =
			new Dictionary<string, Setting>(StringComparer.OrdinalIgnoreCase);
		private readonly PolicyHost _host;

		public Wish(ModuleCall call, PolicyHost host)
		{
			_host = host;
			foreach (Dictionary<string, object> group in Entries(call.Params, "_groups"))
			{
				if (host.IsDomainController || !Flag(group, "domain_controllers"))
					AddGroup(group);
			}
			foreach (Dictionary<string, object> entry in Entries(call.Params, "subcategories"))
				AddSubcategory((string)entry["name"], (Flag(entry, "success") ? Subcategories.Success : 0)
					| (Flag(entry, "failure") ? Subcategories.Failure : 0));
			foreach (Dictionary<string, object> entry in Entries(call.Params, "channels"))
				AddChannel((string)entry["name"], Number(entry, "max_size"), Flag(entry, "enabled"));
			foreach (string path in call.Texts("paths"))
				AddPath(path);
		}

		/// <summary>Return the setting for changes of a file or a key by its path; UsageException for what is none.
		/// </summary>
		public static ObjectSetting Object(string path, PolicyHost host)
		{
			bool isKey = path.StartsWith(Machine, StringComparison.OrdinalIgnoreCase);
			string expanded = isKey ? path.Substring(Machine.Length).TrimEnd('\\') : Expand(path, host);
			bool isFile = expanded.Length > 3 && Char.IsLetter(expanded[0]) && expanded.Substring(1, 2) == @":\";
			if (expanded.Length == 0 || !(isKey || isFile) || expanded.IndexOfAny(new[] { '*', '?', '\0' }) >= 0)
				throw new UsageException(
					"paths: '" + Printable.ShowPath(path) + "' is no absolute path of a directory or file, and no key"
					+ @" that begins with HKLM\; wildcards are not allowed");
			return new ObjectSetting(isKey, expanded);
		}

		private void AddGroup(Dictionary<string, object> group)
		{
			foreach (Dictionary<string, object> value in Entries(group, "values"))
			{
				string wanted = value["data"] is string
					? ValueSetting.OfText((string)value["data"])
					: ValueSetting.OfNumber((uint)Number(value, "data"));
				AddValue((string)value["key"], (string)value["name"], wanted, false);
				if (Flag(value, "is_32bit_too"))
					AddValue((string)value["key"], (string)value["name"], wanted, true);
			}
			foreach (Dictionary<string, object> entry in Entries(group, "subcategories"))
				AddSubcategory((string)entry["name"], (int)Number(entry, "flags"));
			foreach (Dictionary<string, object> entry in Entries(group, "channels"))
				AddChannel((string)entry["name"], Number(entry, "max_size"), Flag(entry, "enabled"));
			foreach (object path in List(group, "paths"))
				AddPath((string)path);
		}

		private void AddSubcategory(string name, int flags)
		{
			Guid? subcategory = Subcategories.Find(name);
			if (subcategory == null)
				throw new UsageException("subcategories: '" + Printable.Show(name)
					+ "' is neither the English name nor the GUID of a subcategory");
			if (flags == 0)
				throw new UsageException(
					"subcategories: '" + Printable.Show(name) + "' needs success, failure or both");
			Add(new SubcategorySetting(subcategory.Value, flags));
		}

		// A key that both views share is one setting; where that cannot be seen, the path is that of the view.
		private void AddValue(string key, string name, string wanted, bool is32Bit)
		{
			const string Software = @"SOFTWARE\";
			string path;
			if (_host.Settings.Resolve(key, is32Bit, out path) != 0)
				path = is32Bit ? Software + @"WOW6432Node\" + key.Substring(Software.Length) : key;
			Add(new ValueSetting(path, name, wanted));
		}

		private void AddChannel(string channel, long mebibytes, bool isEnabled)
		{
			if (channel.Trim().Length == 0 || channel.IndexOf('\0') >= 0)
				throw new UsageException("channels: a name is empty or has characters that no name has");
			if (mebibytes < 0 || mebibytes > LargestSize / Mebibyte)
				throw new UsageException("channels: max_size of " + channel + " is negative or above 4 TiB");
			if (mebibytes == 0 && !isEnabled)
				throw new UsageException("channels: " + channel + " needs max_size or enabled");
			if (isEnabled)
				Add(new ChannelState(channel, true));
			if (mebibytes > 0)
				Add(new ChannelSize(channel, mebibytes * Mebibyte));
		}

		private void AddPath(string path)
		{
			Add(Object(path, _host));
		}

		private void Add(Setting setting)
		{
			Setting known;
			if (_known.TryGetValue(setting.Id, out known))
			{
				known.Join(setting);
				return;
			}
			_known[setting.Id] = setting;
			Settings.Add(setting);
		}

		/// <summary>Return a path with the folder of the machine that a variable at its beginning stands for.</summary>
		public static string Expand(string path, PolicyHost host)
		{
			int end = path.StartsWith("%", StringComparison.Ordinal) ? path.IndexOf('%', 1) : -1;
			string folder = end < 0 ? null : host.Files.Folder(path.Substring(1, end - 1));
			return (folder == null ? path : folder.TrimEnd('\\') + path.Substring(end + 1)).TrimEnd('\\');
		}

		private static IEnumerable<Dictionary<string, object>> Entries(Dictionary<string, object> holder, string name)
		{
			foreach (object entry in List(holder, name))
				yield return (Dictionary<string, object>)entry;
		}

		private static List<object> List(Dictionary<string, object> holder, string name)
		{
			object list;
			holder.TryGetValue(name, out list);
			return list as List<object> ?? new List<object>();
		}

		private static bool Flag(Dictionary<string, object> holder, string name)
		{
			object flag;
			return holder.TryGetValue(name, out flag) && true.Equals(flag);
		}

		private static long Number(Dictionary<string, object> holder, string name)
		{
			object number;
			holder.TryGetValue(name, out number);
			return number == null ? 0 : Convert.ToInt64(number, System.Globalization.CultureInfo.InvariantCulture);
		}
	}
}
