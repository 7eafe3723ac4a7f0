// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Survey
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostPaths;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Owners;

/// <summary>One reading of the host: every entry of some watches as a line, in order, each path once.</summary>
public sealed class Survey : IDisposable
{
	// A host with 100,000 entries needs some 40 MB; most have fewer.
	private const long Room = 24 << 20;

	private readonly IList<Watch> _watches;
	private readonly Owners _owners;
	private readonly Host _host;
	private readonly Classifier _classifier;
	private readonly string _state;
	private readonly Sorter _sorter;

	/// <summary>watches: to read. all: also those that are not read now, but to which a path can belong.
	/// state: the directory of our own, which changes with each run.</summary>
	public Survey(
		IList<Watch> watches,
		IList<Watch> all,
		Host host,
		Classifier classifier,
		string state,
		Func<Stream> temporary)
	{
		_watches = watches;
		_owners = new Owners(all, host.Paths);
		_host = host;
		_classifier = classifier;
		_state = state;
		_sorter = new Sorter(temporary, Room);
		host.IsCompared = IsCompared;
	}

	/// <summary>Read the host. scopes: the coverage of each watch, in order.</summary>
	public void Run(IList<ScopeCoverage> scopes, Deadline deadline)
	{
		using (_host.Background())
		{
			for (int i = 0; i < _watches.Count; i++)
			{
				Watch watch = _watches[i];
				foreach (ICollector collector in _host.Collectors)
					collector.Collect(watch, scopes[i], deadline, delegate(Entry entry) { Add(watch, entry); });
			}
		}
	}

	/// <summary>Return the lines in order, once; where several watches have a path, that of its owner.</summary>
	public IEnumerable<byte[]> Entries()
	{
		byte[] pending = null;
		foreach (byte[] line in _sorter.Sorted())
		{
			if (pending != null && Lines.CompareKeys(pending, line) == 0)
			{
				pending = Owned(pending, line);
				continue;
			}
			if (pending != null)
				yield return Judged(pending);
			pending = line;
		}
		if (pending != null)
			yield return Judged(pending);
	}

	public void Dispose()
	{
		_sorter.Dispose();
	}

	private void Add(Watch watch, Entry entry)
	{
		if (IsOwnState(entry))
			return;
		// Whether a program is suspicious is only known when all were seen; only these are judged again.
		bool isCandidate = _classifier.Mark(entry, watch).Length > 0 || entry.Text("signature") == "none"
			|| entry.Text("signature") == "invalid";
		try
		{
			_sorter.Add(Lines.Write(entry, watch.Name, isCandidate ? Lines.Suspicious : ""));
		}
		catch (IOException error)
		{
			throw new StateException(
				"no space left for temporary files in " + _state + ": free some space; the baseline is unchanged",
				error);
		}
	}

	private byte[] Judged(byte[] line)
	{
		if (!Lines.IsMarked(line))
			return line;
		RecordedEntry recorded = Lines.Parse(line);
		string mark = _classifier.Mark(recorded.Entry, _classifier.WatchOf(recorded.Watch));
		return Lines.Write(recorded.Entry, recorded.Watch, mark);
	}

	private bool IsCompared(string path)
	{
		string whole = PathVariables.Replace(path, _host.Paths);
		Entry file = whole == null ? null : new Entry(EntryKinds.File, whole, new Dictionary<string, object>());
		string owner = file == null ? null : _owners.Owner(file);
		return owner != null && _classifier.WatchOf(owner).Records("content");
	}

	private bool IsOwnState(Entry entry)
	{
		return !entry.IsRegistry && entry.Path.StartsWith(_state, StringComparison.OrdinalIgnoreCase)
			&& (entry.Path.Length == _state.Length || entry.Path[_state.Length] == '\\');
	}

	private byte[] Owned(byte[] left, byte[] right)
	{
		RecordedEntry first = Lines.Parse(left);
		RecordedEntry second = Lines.Parse(right);
		return _owners.Owner(first.Entry) == second.Watch ? right : left;
	}
}
}
