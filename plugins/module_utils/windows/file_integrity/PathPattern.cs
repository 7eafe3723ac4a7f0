// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PathPattern
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;

/// <summary>
/// The path of a watch without variables: C:\NAME\NAME, where * and ? stand for characters of one name and ** for
/// any number of directories.
/// </summary>
public sealed class PathPattern
{
	public const string AnyDepth = "**";

	/// <summary>As it was written, without variables.</summary>
	public readonly string Text;

	/// <summary>The root directory of the drive, as C:\.</summary>
	public readonly string Root;

	/// <summary>The names below it, each a glob.</summary>
	public readonly string[] Names;

	private PathPattern(string text, string root, string[] names)
	{
		Text = text;
		Root = root;
		Names = names;
	}

	/// <summary>Read a path; raise FormatException with a sentence for people.</summary>
	public static PathPattern Parse(string text)
	{
		string path = text.Replace('/', '\\');
		if (path.StartsWith(@"\\?\", StringComparison.Ordinal))
			path = path.Substring(4);
		if (path.StartsWith(@"\\", StringComparison.Ordinal))
			throw new FormatException("path '" + text + "' is on the network; watch it on the host that has it");
		if (path.Length < 2 || path[1] != ':' || !IsLetter(path[0]) || (path.Length > 2 && path[2] != '\\'))
			throw new FormatException("path '" + text + "' does not begin with a drive; write it as C:\\PATH");
		List<string> names = new List<string>();
		foreach (string name in path.Substring(2).Split('\\'))
		{
			if (name == "." || name == "..")
				throw new FormatException(
					"path '" + text + "' has the name '" + name + "'; write the path it means");
			if (name.IndexOf(':') >= 0 || name.IndexOf('\0') >= 0)
				throw new FormatException("path '" + text + "' has a character that no file name can have");
			bool isRepeated = name == AnyDepth && names.Count > 0 && names[names.Count - 1] == AnyDepth;
			if (name.Length > 0 && !isRepeated)
				names.Add(name);
		}
		return new PathPattern(text, char.ToUpperInvariant(path[0]) + @":\", names.ToArray());
	}

	/// <summary>Say whether a whole path matches this pattern, or lies below what matches it.</summary>
	public bool Covers(string path)
	{
		if (path.Length < 3 || char.ToUpperInvariant(path[0]) != Root[0])
			return false;
		string[] parts = path.Length == 3 ? new string[0] : path.Substring(3).Split('\\');
		return Covers(0, parts, 0);
	}

	private bool Covers(int name, string[] parts, int part)
	{
		while (name < Names.Length)
		{
			if (Names[name] == AnyDepth)
			{
				for (int next = part; next <= parts.Length; next++)
				{
					if (Covers(name + 1, parts, next))
						return true;
				}
				return false;
			}
			if (part == parts.Length || !Glob.Matches(Names[name], parts[part]))
				return false;
			name++;
			part++;
		}
		return true;
	}

	private static bool IsLetter(char character)
	{
		char upper = char.ToUpperInvariant(character);
		return upper >= 'A' && upper <= 'Z';
	}
}

/// <summary>What a watch leaves out, and the names it is limited to.</summary>
public sealed class PathFilter
{
	private readonly List<string> _names = new List<string>();
	private readonly List<PathPattern> _paths = new List<PathPattern>();
	private readonly IList<string> _include;

	/// <summary>
	/// Sentences about globs that leave out nothing, because what a variable stands for is no path of this host.
	/// </summary>
	public readonly List<string> Problems = new List<string>();

	/// <summary>exclude: globs without variables. Those of the registry and of WMI are left to their collectors.
	/// </summary>
	public PathFilter(IEnumerable<string> exclude, IList<string> include)
	{
		_include = include;
		foreach (string glob in exclude)
		{
			if (glob.IndexOf('\\') < 0 && glob.IndexOf('/') < 0)
			{
				_names.Add(glob);
				continue;
			}
			try
			{
				if (IsPath(glob))
					_paths.Add(PathPattern.Parse(glob));
			}
			catch (FormatException error)
			{
				Problems.Add(error.Message);
			}
		}
	}

	/// <summary>Say whether a glob of more than one name is of files, not of the registry or WMI.</summary>
	public static bool IsPath(string glob)
	{
		return !glob.StartsWith("HK", StringComparison.OrdinalIgnoreCase)
			&& !glob.StartsWith(@"WMI\", StringComparison.OrdinalIgnoreCase);
	}

	/// <summary>Say whether a path is left out, with all that is below it.</summary>
	public bool IsExcluded(string path, string name)
	{
		foreach (string glob in _names)
		{
			if (Glob.Matches(glob, name))
				return true;
		}
		foreach (PathPattern pattern in _paths)
		{
			if (pattern.Covers(path))
				return true;
		}
		return false;
	}

	/// <summary>Say whether a file with this name is part of the watch.</summary>
	public bool IsIncluded(string name)
	{
		return Glob.IsListed(_include, name);
	}
}
}
