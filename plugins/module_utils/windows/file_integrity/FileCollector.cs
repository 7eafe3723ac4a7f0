// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileCollector
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Authenticode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Hashing;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Registry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Streams;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileReader;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.FileWalk;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.PathPattern;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Signatures;

/// <summary>Reads the files and directories of a watch. Not for use by several threads.</summary>
public sealed class FileCollector : ICollector, IDisposable
{
	/// <summary>How many files and directories are read of one watch at most.</summary>
	public const long LargestWatch = 1000000;

	// Each is compared with each.
	private const int MostCompared = 1000;

	private readonly IFiles _files;
	private readonly IHostPaths _host;
	private readonly FileReader _reader;
	private readonly long _limit;
	private readonly List<IDisposable> _owned = new List<IDisposable>();

	public FileCollector(IFiles files, IHostPaths host, FileReader reader, long limit = LargestWatch)
	{
		_files = files;
		_host = host;
		_reader = reader;
		_limit = limit;
		Likes = new SignedLikes(host.Variable("SystemRoot"));
	}

	/// <summary>The programs of all watches that were read since it was set.</summary>
	public SignedLikes Likes;

	/// <summary>Return a collector of this host's files.</summary>
	public static FileCollector OfHost(IRegistry registry)
	{
		NativeFiles files = new NativeFiles();
		NativeAuthenticode authenticode = new NativeAuthenticode();
		IDigest digest = Digests.Sha256();
		FileReader reader = new FileReader(
			files, new NativeFileSecurity(), new NativeStreams(files), authenticode, digest);
		FileCollector collector = new FileCollector(files, new HostPaths(registry), reader);
		collector._owned.Add(authenticode);
		collector._owned.Add(digest);
		return collector;
	}

	public void Collect(Watch watch, ScopeCoverage coverage, Deadline deadline, Action<Entry> emit)
	{
		List<PathPattern> patterns = Patterns(watch.Paths, coverage);
		if (patterns.Count == 0)
			return;
		PathFilter filter = new PathFilter(Expanded(watch.Exclude, coverage), watch.Include);
		foreach (string problem in filter.Problems)
			coverage.Skip("exclude", Printable.ShowPath(problem));
		_reader.Begin(watch, coverage, deadline);
		Action<Entry> observe = delegate(Entry entry)
		{
			Likes.Observe(entry);
			emit(entry);
		};
		FileWalk walk = new FileWalk(
			_files, _reader, watch, filter, coverage, deadline, observe, _limit, IsUnique(patterns));
		foreach (PathPattern pattern in patterns)
		{
			if (walk.IsOver)
			{
				coverage.Skip(Printable.ShowPath(pattern.Text), "the run ended before it was read");
				continue;
			}
			walk.Start(pattern);
		}
		Likes.NoteMixed(coverage);
	}

	public void Dispose()
	{
		foreach (IDisposable owned in _owned)
			owned.Dispose();
		_owned.Clear();
	}

	private List<PathPattern> Patterns(IEnumerable<string> paths, ScopeCoverage coverage)
	{
		List<PathPattern> patterns = new List<PathPattern>();
		foreach (string path in Expanded(paths, coverage))
		{
			try
			{
				patterns.Add(PathPattern.Parse(path));
			}
			catch (FormatException exception)
			{
				coverage.Skip(Printable.ShowPath(path), exception.Message);
			}
		}
		return patterns;
	}

	private List<string> Expanded(IEnumerable<string> globs, ScopeCoverage coverage)
	{
		List<string> expanded = new List<string>();
		foreach (string glob in globs)
		{
			string missing;
			expanded.AddRange(PathVariables.Expand(glob, _host, out missing));
			if (missing != null)
				coverage.Skip(Printable.ShowPath(glob), "this host has no variable %" + missing + "%");
		}
		return expanded;
	}

	/// <summary>
	/// Say whether each path can come from one pattern only: they begin with different literal names.
	/// </summary>
	private static bool IsUnique(List<PathPattern> patterns)
	{
		if (patterns.Count > MostCompared)
			return false;
		for (int left = 0; left < patterns.Count; left++)
		{
			for (int right = left + 1; right < patterns.Count; right++)
			{
				if (!AreApart(patterns[left], patterns[right]))
					return false;
			}
		}
		return true;
	}

	private static bool AreApart(PathPattern left, PathPattern right)
	{
		if (left.Root != right.Root)
			return true;
		for (int index = 0; index < left.Names.Length && index < right.Names.Length; index++)
		{
			string leftName = left.Names[index];
			string rightName = right.Names[index];
			if (!IsOnlyName(leftName) || !IsOnlyName(rightName))
				return false;
			if (!string.Equals(leftName, rightName, StringComparison.OrdinalIgnoreCase))
				return true;
		}
		return false;
	}

	/// <summary>Say whether no other text is this name: neither a glob nor, perhaps, an 8.3 name.</summary>
	private static bool IsOnlyName(string name)
	{
		return !Glob.IsGlob(name) && name.IndexOf('~') < 0;
	}
}
}
