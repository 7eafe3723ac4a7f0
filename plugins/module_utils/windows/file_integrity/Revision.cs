// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Revision
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Json;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Acceptance;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Changes;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Classifier;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Comparison;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Definitions;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostState;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Lines;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Owners;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Review;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RunCoverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Survey;

/// <summary>What state=present makes of the baseline: a first one, one that covers more, one with accepted changes.
/// </summary>
public sealed class Revision
{
	private const int RecordedPaths = 100;

	private readonly Options _options;
	private readonly Opened _opened;
	private readonly StateDirectory _state;
	private readonly Host _host;
	private readonly Deadline _deadline;
	private readonly double _now;
	private readonly long _ticks;

	public Revision(Options options, Opened opened, StateDirectory state, Host host, Deadline deadline)
	{
		_options = options;
		_opened = opened;
		_state = state;
		_host = host;
		_deadline = deadline;
		_now = Host.Now();
		_ticks = DateTime.UtcNow.ToFileTimeUtc();
	}

	/// <summary>Say whether anything has to be read or written.</summary>
	public bool IsNeeded
	{
		get
		{
			return _opened.Baseline == null || _options.Accept.Count > 0
				|| (_options.Watches != null
					&& !Definitions.Same(_opened.Header.Watches, _options.Watches));
		}
	}

	/// <summary>Return the result where the baseline stays as it is.</summary>
	public Dictionary<string, object> Unchanged()
	{
		Dictionary<string, object> result = new Dictionary<string, object>();
		result["changed"] = false;
		result["detections"] = new List<object>();
		result["coverage"] = new List<object>();
		result["baseline"] = Header.Summary(_opened.Header, _opened.Seal);
		result["diff"] = WatchesDiff();
		return result;
	}

	/// <summary>
	/// Return the result of check mode: nothing is written, and only what accepting needs is read.
	/// </summary>
	public Dictionary<string, object> Preview()
	{
		Dictionary<string, object> result = Unchanged();
		if (_options.Accept.Count == 0 || _opened.Baseline == null)
		{
			result["changed"] = IsNeeded;
			return result;
		}
		Acceptance acceptance = Compared(result);
		result["changed"] = acceptance.Count > 0;
		return result;
	}

	/// <summary>Write the new baseline as a file; "written" of the result is its seal if it is a new one.</summary>
	public Dictionary<string, object> Write(string name)
	{
		Dictionary<string, object> result = Unchanged();
		if (_opened.Baseline == null)
			Create(name, result);
		else if (_options.Accept.Count > 0)
			Accept(name, result);
		else if (IsNeeded)
			Extend(name, result);
		return result;
	}

	private void Create(string name, Dictionary<string, object> result)
	{
		if (_options.Watches == null || _options.Watches.Count == 0)
			throw new UsageException("there is nothing to watch; set 'watches', or leave default_watches on");
		List<Watch> watches = _options.Watches;
		RunCoverage coverage = new RunCoverage(watches, _host, _deadline);
		Classifier classifier = new Classifier(
			watches, _host.NewJudges(_options, _ticks, delegate { return false; }));
		Review review = new Review(classifier, _options.MaxChanges, null);
		using (Survey survey = NewSurvey(watches, watches, classifier))
		{
			survey.Run(coverage.Scopes, _deadline);
			Header header = new Header { Watches = watches, Since = _ticks };
			header.History.Add(NewEvent("created", _options.Reason.Length > 0 ? _options.Reason : "Taken."));
			Save(name, header, Noted(survey.Entries(), review), result);
		}
		coverage.NoteUnmatched(_options.DefaultNames, delegate { return false; });
		if (_options.Expected != null)
			coverage.AddSeal(null, true);
		Report(coverage, review, result);
	}

	private void Extend(string name, Dictionary<string, object> result)
	{
		List<Watch> old = _opened.Header.Watches;
		List<Watch> wanted = _options.Watches;
		Dictionary<string, List<string>> difference = Definitions.Difference(old, wanted);
		List<Watch> read = Others(old, wanted);
		RunCoverage coverage = new RunCoverage(read, _host, _deadline);
		Classifier classifier = new Classifier(
			wanted, _host.NewJudges(_options, _ticks, delegate { return false; }));
		Review review = new Review(classifier, _options.MaxChanges, null);
		string reason = _options.Reason.Length > 0 ? _options.Reason : Definitions.Sentence(difference);
		Header header = _opened.Header.FollowedBy(NewEvent("extended", reason), _opened.Seal, wanted);
		using (Survey survey = NewSurvey(read, wanted, classifier))
		{
			survey.Run(coverage.Scopes, _deadline);
			IEnumerable<byte[]> lines = Extended(_opened.Baseline.Entries(), survey.Entries(), old, wanted, review, coverage);
			Save(name, header, lines, result);
		}
		coverage.NoteUnmatched(_options.DefaultNames, delegate { return false; });
		string warning = coverage.NoteAdded();
		if (warning != null)
			result["warnings"] = new List<object> { warning };
		Report(coverage, review, result);
		foreach (KeyValuePair<string, List<string>> kind in difference)
			result["watches_" + kind.Key] = Definitions.List(kind.Value);
	}

	private void Accept(string name, Dictionary<string, object> result)
	{
		Acceptance acceptance = Compared(result);
		if (acceptance.Count == 0)
			return;
		Event change = NewEvent("accepted", _options.Reason);
		change.Count = acceptance.Count;
		change.Paths = acceptance.Paths(RecordedPaths);
		Header header = _opened.Header.FollowedBy(change, _opened.Seal, _opened.Header.Watches);
		if (acceptance.TakesExplained)
			header.Since = _ticks;
		Save(name, header, acceptance.Applied(_opened.Baseline.Entries()), result);
	}

	private Acceptance Compared(Dictionary<string, object> result)
	{
		Comparison comparison = new Comparison(_options, _opened, _state, _host, _deadline);
		Acceptance acceptance = comparison.Accepting();
		comparison.Run(acceptance);
		string unread = acceptance.Conclude();
		result["accepted"] = acceptance.Described();
		result["accepted_count"] = acceptance.Count;
		result["coverage"] = comparison.Coverage.Entries();
		result["diff"] = acceptance.Diff();
		List<object> warnings = new List<object>();
		if (unread != null)
			warnings.Add(unread);
		if (acceptance.Below() != null)
			warnings.Add(acceptance.Below());
		if (warnings.Count > 0)
			result["warnings"] = warnings;
		return acceptance;
	}

	private void Save(string name, Header header, IEnumerable<byte[]> lines, Dictionary<string, object> result)
	{
		string seal = null;
		_state.Replace(
			name,
			delegate(Stream stream)
			{
				BaselineWriter writer = new BaselineWriter(stream, header);
				foreach (byte[] line in lines)
					writer.Add(line);
				seal = writer.Finish();
				header.Entries = writer.Entries;
				// Windows replaces no file that is open. The lock keeps other writers out.
				_opened.Dispose();
			});
		result["changed"] = true;
		result["written"] = seal;
		result["baseline"] = Header.Summary(header, seal);
	}

	private Survey NewSurvey(IList<Watch> read, IList<Watch> all, Classifier classifier)
	{
		return new Survey(
			read,
			all,
			_host,
			classifier,
			_state.Path,
			delegate { return HostState.Temporary(_state); });
	}

	// What is suspicious is reported when it is recorded.
	private static IEnumerable<byte[]> Noted(IEnumerable<byte[]> lines, Review review)
	{
		Changes changes = new Changes(delegate { return false; }, review.Take);
		foreach (byte[] line in lines)
		{
			if (Lines.IsMarked(line))
			{
				RecordedEntry entry = Lines.Parse(line);
				changes.Suspicious(entry.Watch, entry.Entry);
			}
			yield return line;
		}
	}

	// Existing entries stay as they are, so that no change that waits for review is accepted.
	private IEnumerable<byte[]> Extended(
		IEnumerable<byte[]> recorded,
		IEnumerable<byte[]> current,
		IList<Watch> old,
		IList<Watch> wanted,
		Review review,
		RunCoverage coverage)
	{
		Owners oldOwners = new Owners(old, _host.Paths);
		Owners owners = new Owners(wanted, _host.Paths);
		using (IEnumerator<byte[]> before = recorded.GetEnumerator())
		using (IEnumerator<byte[]> now = Noted(current, review).GetEnumerator())
		{
			bool hasBefore = before.MoveNext();
			bool hasNow = now.MoveNext();
			while (hasBefore || hasNow)
			{
				int order = !hasBefore ? 1 : !hasNow ? -1 : Lines.CompareKeys(before.Current, now.Current);
				byte[] line = order > 0
					? Added(now.Current, oldOwners, coverage)
					: Retained(before.Current, order == 0 ? now.Current : null, owners);
				if (line != null)
					yield return line;
				hasBefore = order <= 0 ? before.MoveNext() : hasBefore;
				hasNow = order >= 0 ? now.MoveNext() : hasNow;
			}
		}
	}

	// What an old watch covers was not there when it was recorded: the next comparison reports it.
	private static byte[] Added(byte[] line, Owners oldOwners, RunCoverage coverage)
	{
		RecordedEntry recorded = Lines.Parse(line);
		if (oldOwners.Owner(recorded.Entry) != null)
			return null;
		coverage.CountAdded(recorded.Watch);
		return line;
	}

	private static byte[] Retained(byte[] before, byte[] now, Owners owners)
	{
		RecordedEntry old = Lines.Parse(before);
		string owner = owners.Owner(old.Entry);
		if (owner == null)
			return null;
		Entry entry = now == null ? old.Entry : Attributes.Completed(old.Entry, Lines.Parse(now).Entry);
		return Lines.Write(entry, owner, old.Mark);
	}

	private static List<Watch> Others(IEnumerable<Watch> old, IEnumerable<Watch> wanted)
	{
		HashSet<string> same = new HashSet<string>();
		foreach (Watch watch in old)
			same.Add(Definitions.Recording(watch));
		List<Watch> others = new List<Watch>();
		foreach (Watch watch in wanted)
		{
			if (!same.Contains(Definitions.Recording(watch)))
				others.Add(watch);
		}
		return others;
	}

	private void Report(RunCoverage coverage, Review review, Dictionary<string, object> result)
	{
		review.Finish();
		result["detections"] = review.Detections();
		result["coverage"] = coverage.Entries();
		result["statistics"] = coverage.Statistics();
	}

	private Event NewEvent(string action, string reason)
	{
		return new Event
		{
			When = _now,
			Until = Host.Now(),
			By = _options.AcceptedBy.Length > 0 ? _options.AcceptedBy : _host.Account,
			Reason = reason,
			Action = action,
		};
	}

	private Dictionary<string, object> WatchesDiff()
	{
		IList<Watch> now = _opened.Header == null ? new List<Watch>() : _opened.Header.Watches;
		Dictionary<string, object> diff = new Dictionary<string, object>();
		diff["before_header"] = "watches of the baseline";
		diff["after_header"] = "watches asked for";
		diff["before"] = Shown(now);
		diff["after"] = Shown(_options.Watches ?? now);
		return diff;
	}

	private static string Shown(IEnumerable<Watch> watches)
	{
		StringBuilder text = new StringBuilder();
		foreach (Watch watch in watches)
			text.Append(Json.Write(Definitions.ToData(watch))).Append('\n');
		return text.ToString();
	}
}
}
