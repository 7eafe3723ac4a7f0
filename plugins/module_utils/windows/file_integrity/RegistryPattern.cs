// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>
/// A registry path of a watch: HKLM\KEY or HKU\*\KEY, where * and ? stand for characters of one name, and
/// KEY\\NAME for values.
/// </summary>
public sealed class RegistryPattern
{
	public const string DefaultValue = "(Default)";

	/// <summary>As it was written.</summary>
	public readonly string Text;

	/// <summary>HKLM or HKU.</summary>
	public readonly string Hive;

	/// <summary>The names below the hive, each a glob.</summary>
	public readonly string[] Names;

	/// <summary>The glob of a value's name; null when the key itself is meant.</summary>
	public readonly string Value;

	private RegistryPattern(string text, string hive, string[] names, string value)
	{
		Text = text;
		Hive = hive;
		Names = names;
		Value = value;
	}

	/// <summary>Read a path; raise FormatException with a sentence for people.</summary>
	public static RegistryPattern Parse(string text)
	{
		string key = text;
		string value = null;
		int divider = text.IndexOf(@"\\", StringComparison.Ordinal);
		if (divider >= 0)
		{
			key = text.Substring(0, divider);
			value = text.Substring(divider + 2);
		}
		string[] parts = key.TrimEnd('\\').Split('\\');
		string hive = HiveNamed(parts[0]);
		if (hive == null)
			throw new FormatException(
				"registry '" + text + "' does not begin with HKLM or HKU; write HKCU keys as HKU\\*\\KEY");
		if (value == "" || Array.IndexOf(parts, "") >= 0)
			throw new FormatException("registry '" + text + "' has an empty name; write KEY\\\\NAME for one value");
		string[] names = new string[parts.Length - 1];
		Array.Copy(parts, 1, names, 0, names.Length);
		return new RegistryPattern(text, hive, names, value);
	}

	/// <summary>
	/// Return the path of a value. A backslash in its name is written &lt;U+005C&gt;, and a name that looks like
	/// that or like the default value's is escaped too: no two values have one path.
	/// </summary>
	public static string ValuePath(string key, string name)
	{
		string text = Shown(name);
		if (name.Length > 0 && string.Equals(name, DefaultValue, StringComparison.OrdinalIgnoreCase))
			text = "<U+0028>" + name.Substring(1);
		else if (name.IndexOf('\\') >= 0 || name.IndexOf("<U+", StringComparison.Ordinal) >= 0)
			text = name.Replace("<U+", "<U+003C>U+").Replace("\\", "<U+005C>");
		return key + "\\" + text;
	}

	/// <summary>Return the name that a value has in the registry from the last name of its path.</summary>
	public static string ValueName(string shown)
	{
		return shown == DefaultValue
			? ""
			: shown.Replace("<U+0028>", "(").Replace("<U+005C>", "\\").Replace("<U+003C>", "<");
	}

	/// <summary>Return the name of a value as watches write it: that of the default value is empty.</summary>
	public static string Shown(string name)
	{
		return name.Length == 0 ? DefaultValue : name;
	}

	/// <summary>Return the name of the value or key that a path ends in.</summary>
	public static string NameOf(string path)
	{
		return path.Substring(path.LastIndexOf('\\') + 1);
	}

	/// <summary>Return the path without its last name; empty for a hive.</summary>
	public static string ParentOf(string path)
	{
		int end = path.LastIndexOf('\\');
		return end < 0 ? "" : path.Substring(0, end);
	}

	private static string HiveNamed(string name)
	{
		switch (name.ToUpperInvariant())
		{
			case "HKLM":
			case "HKEY_LOCAL_MACHINE":
				return "HKLM";
			case "HKU":
			case "HKEY_USERS":
				return "HKU";
			default:
				return null;
		}
	}
}

/// <summary>The exclusions of a watch: bare names match at every level, paths match one key or value.</summary>
public sealed class RegistryExclusions
{
	private readonly List<string> _names = new List<string>();
	private readonly List<RegistryPattern> _keys = new List<RegistryPattern>();
	private readonly List<RegistryPattern> _values = new List<RegistryPattern>();

	/// <summary>Take the globs that concern the registry; those of files are left to the file collector.</summary>
	public RegistryExclusions(IEnumerable<string> globs)
	{
		foreach (string glob in globs)
		{
			if (glob.IndexOf('\\') < 0 && glob.IndexOf('/') < 0)
			{
				_names.Add(glob);
			}
			else if (glob.StartsWith("HK", StringComparison.OrdinalIgnoreCase))
			{
				RegistryPattern pattern = RegistryPattern.Parse(glob);
				(pattern.Value == null ? _keys : _values).Add(pattern);
			}
		}
	}

	/// <summary>Say whether a key with all below it is left out.</summary>
	public bool Key(string path, string name)
	{
		return HasName(name) || IsListed(_keys, path, null);
	}

	/// <summary>Say whether a value is left out; the name is the default value's where it is empty.</summary>
	public bool Value(string key, string name)
	{
		string shown = RegistryPattern.Shown(name);
		return HasName(shown) || IsListed(_values, key, shown);
	}

	private bool HasName(string name)
	{
		foreach (string glob in _names)
		{
			if (Glob.Matches(glob, name))
				return true;
		}
		return false;
	}

	private static bool IsListed(List<RegistryPattern> patterns, string key, string value)
	{
		if (patterns.Count == 0)
			return false;
		string[] parts = key.Split('\\');
		foreach (RegistryPattern pattern in patterns)
		{
			if (IsSame(pattern, parts) && (value == null || Glob.Matches(pattern.Value, value)))
				return true;
		}
		return false;
	}

	private static bool IsSame(RegistryPattern pattern, string[] parts)
	{
		if (pattern.Names.Length != parts.Length - 1 || pattern.Hive != parts[0])
			return false;
		for (int index = 0; index < pattern.Names.Length; index++)
		{
			if (!Glob.Matches(pattern.Names[index], parts[index + 1]))
				return false;
		}
		return true;
	}
}
}
