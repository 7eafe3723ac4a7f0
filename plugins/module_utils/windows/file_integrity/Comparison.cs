// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Comparison
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Acceptance;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ActorLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Actors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Changes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostState;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Review;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RunCoverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Survey;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RegistryCollector;

/// <summary>One comparison of the host with a baseline that is believed.</summary>
public sealed class Comparison
{
	private readonly Options _options;
	private readonly Baseline _baseline;
	private readonly Host _host;
	private readonly StateDirectory _state;
	private readonly Deadline _deadline;
	private readonly List<Watch> _watches;
	private readonly Classifier _classifier;
	private readonly RunCoverage _coverage;
	private readonly HashSet<string> _hives = new HashSet<string>();

	// The hives of accounts of which the baseline has entries.
	private readonly HashSet<string> _recorded = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
	private Review _review;

	public Comparison(Options options, Opened opened, StateDirectory state, Host host, Deadline deadline)
	{
		_options = options;
		_baseline = opened.Baseline;
		_state = state;
		_host = host;
		_deadline = deadline;
		_watches = Definitions.WithMeaningOf(_baseline.Header.Watches, options.Watches);
		_classifier = new Classifier(
			_watches, host.NewJudges(options, _baseline.Header.Since, _recorded.Contains));
		_coverage = new RunCoverage(_watches, host, deadline);
	}

	public RunCoverage Coverage
	{
		get { return _coverage; }
	}

	/// <summary>Return what chooses the changes that a person accepts, for Run.</summary>
	public Acceptance Accepting()
	{
		return new Acceptance(
			_options.Accept,
			_options.MaxChanges,
			delegate(Entry entry, string watch) { return _classifier.Mark(entry, _classifier.WatchOf(watch)); },
			delegate(string watch) { return _classifier.WatchOf(watch).Records("sha256"); });
	}

	/// <summary>Compare everything. acceptance: gets each change; null for none.</summary>
	public void Run(Acceptance acceptance)
	{
		Action<Change, Judgement> consider = null;
		if (acceptance != null)
			consider = acceptance.Consider;
		_review = new Review(_classifier, _options.MaxChanges, consider);
		Changes changes = new Changes(IsGone, _review.Take);
		foreach (byte[] line in _baseline.Entries())
		{
			string hive = Lines.Hive(line);
			if (hive != null)
				_recorded.Add(hive);
		}
		using (Survey survey = new Survey(
			_watches,
			_watches,
			_host,
			_classifier,
			_state.Path,
			delegate { return HostState.Temporary(_state); }))
		{
			survey.Run(_coverage.Scopes, _deadline);
			Merge(_baseline.Entries(), survey.Entries(), changes);
		}
		changes.Finish();
		_review.Finish();
		_coverage.NoteUnmatched(_options.DefaultNames, _review.HasChanges);
		foreach (KeyValuePair<string, long> omitted in _review.Omitted())
			_coverage.Skip(
				omitted.Key,
				omitted.Key,
				omitted.Value + " changes are counted, not listed: max_changes is " + _options.MaxChanges
				+ ", and what is listed has at most 4 MB");
		_review.Explain(_coverage.ByName);
		if (_review.DoubtsSignatures)
		{
			foreach (Watch watch in _watches)
			{
				if (watch.Paths.Count > 0)
					_coverage.Skip(
						watch.Name,
						watch.Name,
						"what verifies signatures on this host was changed: see the findings of "
						+ "windows_trust_changed; signatures and what they explain prove nothing");
			}
		}
		NoteOtherWatches();
	}

	/// <summary>Return the result of win_file_integrity_info.</summary>
	public Dictionary<string, object> Result()
	{
		FindActors();
		if (_options.Unsealed)
		{
			_coverage.Doubt(HostState.NoSeal);
			_coverage.AddSeal(HostState.NoSeal, false);
		}
		else if (_options.Expected != null)
		{
			_coverage.AddSeal(null, false);
		}
		Dictionary<string, object> result = new Dictionary<string, object>();
		result["changed"] = false;
		result["detections"] = _review.Detections();
		result["coverage"] = _coverage.Entries();
		result["changes"] = _review.Changes();
		result["changes_count"] = _review.Count;
		result["explained"] = _review.Explained();
		result["explained_count"] = _review.ExplainedCount;
		result["claimed"] = _review.Claimed();
		result["claimed_count"] = _review.ClaimedCount;
		result["packages_changed"] = false;
		result["baseline"] = Header.Summary(_baseline.Header, _baseline.Seal);
		result["statistics"] = _coverage.Statistics();
		return result;
	}

	private void FindActors()
	{
		if (_host.EventLog == null || _review.Count == 0 || _deadline.Passed)
			return;
		Actors actors = new Actors(_review.Listed, _baseline.Header, _host.EventLog.Volumes(), _host.ControlSet());
		if (actors.Since == long.MaxValue)
			return;
		ActorLog log = new ActorLog(_host.EventLog, _state, _deadline);
		string problem = log.Read(actors);
		// What was read before a problem says nothing of later records.
		List<Change> unknown = problem == null ? actors.Finish() : new List<Change>(_review.Listed);
		if (unknown.Count == 0 || (problem == null && !_host.IsAudited(HostState.Root(_options))))
			return;
		Dictionary<string, long> counts = new Dictionary<string, long>();
		foreach (Change change in unknown)
		{
			long count;
			counts.TryGetValue(change.Watch, out count);
			counts[change.Watch] = count + 1;
		}
		foreach (KeyValuePair<string, long> watch in counts)
			_coverage.ByName[watch.Key].Note = problem != null
				? "Who made the changes is not known, since the Security log cannot be read: "
					+ Printable.ShowPath(problem.TrimEnd('.'))
				: "Changes without a record of who made them: " + watch.Value
					+ (log.IsPartial ? "; only the newest records of the Security log were read" : "");
	}

	private void Merge(IEnumerable<byte[]> recorded, IEnumerable<byte[]> current, Changes changes)
	{
		using (IEnumerator<byte[]> before = recorded.GetEnumerator())
		using (IEnumerator<byte[]> after = current.GetEnumerator())
		{
			bool hasBefore = before.MoveNext();
			bool hasAfter = after.MoveNext();
			while (hasBefore || hasAfter)
			{
				int order = !hasBefore ? 1 : !hasAfter ? -1 : Lines.CompareKeys(before.Current, after.Current);
				if (order == 0)
				{
					Compare(before.Current, after.Current, changes);
				}
				else if (order < 0)
				{
					RecordedEntry missing = Lines.Parse(before.Current);
					changes.Missing(missing.Watch, missing.Entry);
				}
				else
				{
					RecordedEntry created = Lines.Parse(after.Current);
					changes.Created(created.Watch, created.Entry);
				}
				hasBefore = order <= 0 ? before.MoveNext() : hasBefore;
				hasAfter = order >= 0 ? after.MoveNext() : hasAfter;
			}
		}
	}

	private void Compare(byte[] before, byte[] after, Changes changes)
	{
		bool isSame = Lines.Same(before, after);
		if (isSame && !Lines.IsMarked(after))
			return;
		RecordedEntry old = Lines.Parse(before);
		RecordedEntry now = isSame ? old : Lines.Parse(after);
		if (changes.Compared(now.Watch, old.Entry, now.Entry))
			return;
		bool isSuspicious = now.Mark.StartsWith(Lines.Suspicious, StringComparison.Ordinal);
		if (isSuspicious && old.Mark != Lines.Accepted + now.Mark.Substring(Lines.Suspicious.Length))
			changes.Suspicious(now.Watch, now.Entry);
		if (now.Entry.Text("sha256") != null && old.Entry.Text("sha256") == null)
			_coverage.Skip(
				now.Watch,
				now.Entry.Shown,
				"its content could not be read when the baseline was taken, so that it is not compared");
	}

	// What was not read can be there all the same: behind a permission, or after the time budget.
	private bool IsGone(Entry entry, string watch)
	{
		if (_deadline.Passed)
		{
			_coverage.Skip(watch, entry.Shown, _deadline.Reason);
			return false;
		}
		bool? exists = _host.Presence.Exists(entry);
		if (exists == false)
			return true;
		if (exists == null && entry.Path.StartsWith("HKU\\", StringComparison.Ordinal))
		{
			NoteHive(watch, string.Join("\\", entry.Path.Split('\\'), 0, 2));
			return false;
		}
		_coverage.Skip(
			watch,
			entry.Shown,
			exists == true
				? "it is there, but was not read, so that it is not compared"
				: "the host does not let it be read, so that it is not compared");
		return false;
	}

	// One sentence for all that is in the hive of an account, unless the collector said it already.
	private void NoteHive(string watch, string hive)
	{
		if (_hives.Add(watch + "\n" + hive) && !_coverage.HasSkipped(watch, Printable.ShowPath(hive))
			&& !_coverage.HasSkipped(watch, UserHives.Subject))
			_coverage.Skip(
				watch, Printable.ShowPath(hive), "the account is not signed in, so that its keys are not compared");
	}

	private void NoteOtherWatches()
	{
		Dictionary<string, string> recorded = new Dictionary<string, string>();
		foreach (Watch watch in _baseline.Header.Watches)
			recorded[watch.Name] = Definitions.Recording(watch);
		foreach (Watch watch in _options.Watches ?? new List<Watch>())
		{
			string definition;
			bool isRecorded = recorded.TryGetValue(watch.Name, out definition);
			if (!isRecorded)
				_coverage.Skip(
					watch.Name,
					watch.Name,
					"it is not in the baseline yet; run bulwark.servers.win_file_integrity to add it");
			else if (definition != Definitions.Recording(watch))
				_coverage.Skip(
					watch.Name,
					watch.Name,
					"its definition changed after the baseline was made; run bulwark.servers.win_file_integrity");
		}
	}
}
}
