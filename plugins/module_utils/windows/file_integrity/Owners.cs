// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Owners
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PathPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryPattern;

/// <summary>
/// Says which watch an entry belongs to where several cover it: the one with the most specific path, and of equally
/// specific ones the later.
/// </summary>
public sealed class Owners
{
	private readonly List<Area> _areas = new List<Area>();

	public Owners(IEnumerable<Watch> watches, IHostPaths paths)
	{
		foreach (Watch watch in watches)
		{
			List<string> excluded = Expanded(watch.Exclude, paths);
			PathFilter filter = new PathFilter(excluded, watch.Include);
			foreach (string path in Expanded(watch.Paths, paths))
				AddFiles(watch, path, filter);
			RegistryExclusions exclusions = new RegistryExclusions(watch.Exclude);
			foreach (string key in watch.Registry)
				_areas.Add(new KeyArea(watch, RegistryPattern.Parse(key), exclusions));
			foreach (string glob in watch.Wmi)
				_areas.Add(new WmiArea(watch, glob));
		}
	}

	/// <summary>Return the name of the watch that an entry belongs to, null where none covers it.</summary>
	public string Owner(Entry entry)
	{
		string[] parts = entry.Path.TrimEnd('\\').Split('\\');
		Area best = null;
		foreach (Area area in _areas)
		{
			bool isBetter = best == null || area.Names.Length >= best.Names.Length;
			if (isBetter && area.Covers(entry, parts))
				best = area;
		}
		return best == null ? null : best.Watch.Name;
	}

	private void AddFiles(Watch watch, string path, PathFilter filter)
	{
		try
		{
			_areas.Add(new FileArea(watch, PathPattern.Parse(path), filter));
		}
		catch (FormatException)
		{
			// The collector says so in the coverage; nothing is ever read there.
		}
	}

	private static List<string> Expanded(IEnumerable<string> globs, IHostPaths paths)
	{
		List<string> expanded = new List<string>();
		foreach (string glob in globs)
		{
			string missing;
			expanded.AddRange(PathVariables.Expand(glob, paths, out missing));
		}
		return expanded;
	}

	private abstract class Area
	{
		public readonly Watch Watch;
		public readonly string[] Names;

		protected Area(Watch watch, string[] names)
		{
			Watch = watch;
			Names = names;
		}

		public abstract bool Covers(Entry entry, string[] parts);
	}

	private sealed class FileArea : Area
	{
		private readonly string _root;
		private readonly PathFilter _filter;

		public FileArea(Watch watch, PathPattern pattern, PathFilter filter) : base(watch, pattern.Names)
		{
			_root = pattern.Root.TrimEnd('\\');
			_filter = filter;
		}

		public override bool Covers(Entry entry, string[] parts)
		{
			bool isIn = !entry.IsRegistry && parts[0].Equals(_root, StringComparison.OrdinalIgnoreCase)
				&& Reaches(0, parts, 1);
			string name = parts[parts.Length - 1];
			if (!isIn || (entry.Kind != EntryKinds.Directory && !_filter.IsIncluded(name)))
				return false;
			string path = parts[0];
			for (int index = 1; index < parts.Length; index++)
			{
				path += "\\" + parts[index];
				if (index >= Names.Length && _filter.IsExcluded(path, parts[index]))
					return false;
			}
			return true;
		}

		private bool Reaches(int name, string[] parts, int part)
		{
			if (name == Names.Length)
				return Watch.Recurse < 0 || parts.Length - part <= Watch.Recurse;
			if (Names[name] != PathPattern.AnyDepth)
				return part < parts.Length && Glob.Matches(Names[name], parts[part])
					&& Reaches(name + 1, parts, part + 1);
			bool reaches = name == Names.Length - 1;
			for (int next = part; next < parts.Length && !reaches; next++)
				reaches = Reaches(name + 1, parts, next);
			return reaches;
		}
	}

	private sealed class WmiArea : Area
	{
		private readonly string _glob;

		// In a namespace * also stands for backslashes: what is before it says how specific the glob is.
		public WmiArea(Watch watch, string glob)
			: base(watch, glob.Split('*', '?')[0].TrimEnd('\\').Split('\\'))
		{
			_glob = glob;
		}

		public override bool Covers(Entry entry, string[] parts)
		{
			return entry.Kind == EntryKinds.Wmi && Glob.Matches(_glob, entry.Text("namespace") ?? "")
				&& !WmiWatch.IsExcluded(Watch, entry.Path);
		}
	}

	private sealed class KeyArea : Area
	{
		private readonly RegistryPattern _pattern;
		private readonly RegistryExclusions _exclusions;

		public KeyArea(Watch watch, RegistryPattern pattern, RegistryExclusions exclusions)
			: base(watch, pattern.Names)
		{
			_pattern = pattern;
			_exclusions = exclusions;
		}

		public override bool Covers(Entry entry, string[] parts)
		{
			bool isValue = entry.Kind == EntryKinds.Value;
			int below = parts.Length - 1 - Names.Length - (isValue ? 1 : 0);
			if (!entry.IsRegistry || below < 0 || parts[0] != _pattern.Hive)
				return false;
			for (int index = 0; index < Names.Length; index++)
			{
				if (!Glob.Matches(Names[index], parts[index + 1]))
					return false;
			}
			string key = RegistryPattern.ParentOf(entry.Path);
			string name = isValue ? RegistryPattern.ValueName(parts[parts.Length - 1]) : null;
			if (_pattern.Value != null)
				return isValue && below == 0 && Glob.Matches(_pattern.Value, RegistryPattern.Shown(name))
					&& !_exclusions.Value(key, name);
			if (Watch.Recurse >= 0 && below > Watch.Recurse)
				return false;
			string path = parts[0];
			for (int index = 1; index < parts.Length - (isValue ? 1 : 0); index++)
			{
				path += "\\" + parts[index];
				if (index > Names.Length && _exclusions.Key(path, parts[index]))
					return false;
			}
			return !isValue || (Glob.IsListed(Watch.Include, RegistryPattern.Shown(name))
				&& !_exclusions.Value(key, name));
		}
	}
}
}
