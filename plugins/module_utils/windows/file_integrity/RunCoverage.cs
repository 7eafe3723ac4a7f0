// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RunCoverage
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Evidence;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;

/// <summary>The coverage and statistics of one run over some watches.</summary>
public sealed class RunCoverage
{
	private const string Unmatched =
		"nothing on the host matches it; correct the watch's paths, or leave the watch out for this host";

	private const string BaselineCreated =
		"A baseline was taken: the host as it is now is what later scans compare it with.";

	// A sentence names so many watches.
	private const int ListedWatches = 20;

	private readonly IList<Watch> _watches;
	private readonly Deadline _deadline;
	private readonly List<object> _others = new List<object>();
	private readonly Dictionary<string, long> _added = new Dictionary<string, long>();
	private string _doubt;

	/// <summary>The coverage of each watch, in order.</summary>
	public readonly List<ScopeCoverage> Scopes = new List<ScopeCoverage>();

	public readonly Dictionary<string, ScopeCoverage> ByName = new Dictionary<string, ScopeCoverage>();

	public RunCoverage(IList<Watch> watches, Host host, Deadline deadline)
	{
		_watches = watches;
		_deadline = deadline;
		foreach (Watch watch in watches)
		{
			ScopeCoverage scope = new ScopeCoverage(watch.Name);
			Scopes.Add(scope);
			ByName[watch.Name] = scope;
			if (!host.IsAdministrator)
				scope.Skip(
					host.Account ?? watch.Name,
					"the account of the connection is no administrator and does not see everything; use "
					+ "one that is");
			if (host.IsEmulated && watch.Paths.Count > 0)
				scope.Fail(
					"a 32-bit PowerShell runs the module, and Windows shows it other files; connect with the "
					+ "64-bit one");
		}
	}

	/// <summary>Note something that a watch left out; one that is not part of the run gets a scope that says so.
	/// </summary>
	public void Skip(string watch, string subject, string reason)
	{
		ScopeCoverage scope;
		if (ByName.TryGetValue(watch, out scope))
			scope.Skip(subject, reason);
		else
			_others.Add(ScopeCoverage.NotChecked(watch, reason));
	}

	/// <summary>Say whether a watch names a subject among what it left out.</summary>
	public bool HasSkipped(string watch, string subject)
	{
		ScopeCoverage scope;
		List<object> skipped = ByName.TryGetValue(watch, out scope)
			? (List<object>)scope.Entry()["skipped"]
			: new List<object>();
		return skipped.Exists(
			delegate(object item) { return subject.Equals(((Dictionary<string, object>)item)["subject"]); });
	}

	/// <summary>Say of each watch that a user wrote that nothing matched it.</summary>
	public void NoteUnmatched(ICollection<string> defaultNames, Func<string, bool> hasChanges)
	{
		for (int i = 0; i < _watches.Count; i++)
		{
			Watch watch = _watches[i];
			ScopeCoverage scope = Scopes[i];
			if (scope.Examined > 0 || scope.SkippedCount > 0 || defaultNames.Contains(watch.Name)
				|| hasChanges(watch.Name))
				continue;
			foreach (string path in watch.Paths)
				scope.Skip(Printable.ShowPath(path), Unmatched);
			foreach (string path in watch.Wmi)
				scope.Skip(Printable.ShowPath(path), Unmatched);
			foreach (string key in watch.Registry)
				scope.Skip(Printable.ShowPath(key), Unmatched);
		}
	}

	/// <summary>Count an entry of a watch that goes into a baseline that exists and did not cover it.</summary>
	public void CountAdded(string watch)
	{
		long count;
		_added.TryGetValue(watch, out count);
		_added[watch] = count + 1;
	}

	/// <summary>
	/// Say of each watch how many entries were added, which nothing was compared with; return a warning of all, null
	/// for none.
	/// </summary>
	public string NoteAdded()
	{
		List<string> listed = new List<string>();
		foreach (ScopeCoverage scope in Scopes)
		{
			long count;
			if (!_added.TryGetValue(scope.Scope, out count))
				continue;
			scope.Note = "New entries in the baseline, accepted without a comparison: " + count;
			if (listed.Count < ListedWatches)
				listed.Add(count + " of watch '" + scope.Scope + "'");
		}
		if (listed.Count == 0)
			return null;
		string more = _added.Count > listed.Count ? " and of " + (_added.Count - listed.Count) + " more watches" : "";
		return "new entries in the baseline were accepted without a comparison: "
			+ string.Join(", ", listed.ToArray()) + more
			+ ". Changes before this run cannot be seen; review the entries of a watch that was off for a while";
	}

	/// <summary>Say that nothing counts as checked, whatever was compared.</summary>
	public void Doubt(string reason)
	{
		_doubt = reason;
	}

	/// <summary>Add the scope of the seal. problem: null where it is the one that the controller knows.</summary>
	public void AddSeal(string problem, bool isCreated)
	{
		ScopeCoverage scope = new ScopeCoverage(Evidence.SealScope);
		scope.Examined = 1;
		if (problem != null)
			scope.Fail(problem);
		scope.Note = isCreated ? BaselineCreated : null;
		_others.Add(scope.Entry());
	}

	public List<object> Entries()
	{
		List<object> entries = new List<object>();
		foreach (ScopeCoverage scope in Scopes)
		{
			if (_doubt != null)
				scope.Fail(_doubt);
			entries.Add(scope.Entry());
		}
		entries.AddRange(_others);
		return entries;
	}

	public Dictionary<string, object> Statistics()
	{
		long entries = 0;
		foreach (ScopeCoverage scope in Scopes)
			entries += scope.Examined;
		Dictionary<string, object> statistics = new Dictionary<string, object>();
		statistics["entries"] = entries;
		statistics["seconds"] = Math.Round(_deadline.Elapsed, 3);
		return statistics;
	}

	/// <summary>Return the coverage of a run that had no baseline to believe.</summary>
	public static List<object> NothingChecked(IList<Watch> watches, string reason, bool hasSeal)
	{
		List<object> entries = new List<object>();
		foreach (Watch watch in watches ?? new Watch[0])
			entries.Add(ScopeCoverage.NotChecked(watch.Name, reason));
		if (entries.Count == 0)
			entries.Add(ScopeCoverage.NotChecked("file_integrity", reason));
		if (hasSeal)
			entries.Add(ScopeCoverage.NotChecked(Evidence.SealScope, reason));
		return entries;
	}
}
}
