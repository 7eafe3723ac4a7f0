// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Judge
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Tally;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.EventEvidence;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Requirements;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Views;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Correlator;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.RuleSet;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Wording;

/// <summary>Judges records by the compiled rules, and counts what they find.</summary>
public sealed class Judge
{
	// Computers whose records are correlated; a log of another machine has one or few.
	private const int MostComputers = 200;
	private const int MostRemembered = 2000;
	// Matches that wait for those of other logs.
	private const int MostWaiting = 8192;
	private const double Day = 86400;

	private readonly Dictionary<string, object> _compiled;
	private readonly List<object> _entries;
	private readonly HashSet<string> _own;
	private readonly Dictionary<string, Correlator> _correlators =
		new Dictionary<string, Correlator>(StringComparer.OrdinalIgnoreCase);
	private readonly Dictionary<string, RuleSet> _certain = new Dictionary<string, RuleSet>(StringComparer.Ordinal);
	private readonly Tally _tally;
	private readonly double? _since;
	private bool _tooMany;
	private readonly List<Waiting> _waiting = new List<Waiting>();
	private double _fed = double.NegativeInfinity;
	private readonly double _tomorrow = EventRecord.UnixSeconds(DateTime.UtcNow.ToFileTimeUtc()) + Day;
	private long _late;
	private long _future;
	private long _arrived;

	public readonly RuleSet Rules;

	/// <summary>The views of this host's records, and of those of other machines.</summary>
	public readonly Views Views;

	/// <summary>Matches on what Windows records itself that would need what it does not record.</summary>
	public long Uncertain { get; private set; }

	/// <summary>Of the records that were judged; seconds since the epoch, null for none.</summary>
	public double? FirstTime { get; private set; }
	public double? LastTime { get; private set; }

	/// <summary>FormatException for what are no rules, or no state of correlations.</summary>
	/// <param name="own">The names that this host has in its records; findings of others name them.</param>
	/// <param name="volumes">Drives by device, null for logs of other machines.</param>
	/// <param name="since">Records before it are not judged.</param>
	public Judge(
		Dictionary<string, object> compiled, Dictionary<string, object> state, Tally tally, IEnumerable<string> own,
		IDictionary<string, string> volumes, double? since)
	{
		_compiled = compiled;
		_entries = Compiled.List(compiled, "rules");
		_tally = tally;
		_since = since;
		_own = new HashSet<string>(own, StringComparer.OrdinalIgnoreCase);
		Rules = new RuleSet(compiled);
		Views = new Views(Rules.Sources, volumes);
		_correlators[""] = new Correlator(compiled, state);
	}

	/// <summary>Judge a record, and those that waited for it.</summary>
	public void Take(EventRecord record)
	{
		double time = EventRecord.UnixSeconds(record.Time);
		if (_since != null && time < _since)
			return;
		FirstTime = FirstTime == null ? time : Math.Min(FirstTime.Value, time);
		LastTime = LastTime == null ? time : Math.Max(LastTime.Value, time);
		foreach (EventView view in Views.Of(record))
			Take(view);
	}

	/// <summary>Judge what still waits, at the end of what is read.</summary>
	public void Finish()
	{
		foreach (EventView view in Views.Rest())
			Take(view);
		Feed(0);
	}

	/// <summary>What the next run has to know.</summary>
	public Dictionary<string, object> State(double now)
	{
		return _correlators[""].State(now);
	}

	/// <summary>A sentence for each rule that could not be used, and what correlations forgot.</summary>
	public List<string> Problems
	{
		get
		{
			List<string> problems = new List<string>(Rules.Problems);
			foreach (Correlator correlator in _correlators.Values)
				problems.AddRange(correlator.Problems);
			if (_tooMany)
				problems.Add("the records are of more than " + MostComputers + " computers; those of the others were not "
					+ "correlated");
			if (_late > 0)
				problems.Add(_late + " matches were correlated late, as too many came before them from other logs; "
					+ "correlations may have missed something: run more often");
			if (_future > 0)
				problems.Add(_future + " matches were not correlated, as their time is in the future: the clock was wrong");
			if (Views.Blocks.Incomplete > 0)
				problems.Add(Views.Blocks.Incomplete + " script blocks were judged in parts, as the log does not have all "
					+ "of them together");
			return problems;
		}
	}

	private void Take(EventView view)
	{
		foreach (int number in Rules.Match(view.Source, view.Fields))
		{
			if (view.IsMapped && !IsCertain(number, view))
			{
				Uncertain++;
				continue;
			}
			Report(number, view);
		}
	}

	private void Report(int number, EventView view)
	{
		Rule rule = Rules.Rule(number);
		string computer = Computer(view.Record);
		double time = EventRecord.UnixSeconds(view.Record.Time);
		bool isFed = _correlators[""].Wants(number);
		if (rule.IsComponent && !isFed)
			return;
		Dictionary<string, object> evidence = EventEvidence.Of(view.Record, view.Fields);
		if (!rule.IsComponent)
			_tally.Add(rule.Alert, On(Rules.Subject(number, view.Fields), computer), evidence, time, time, 1,
				rule.Severity, rule.Techniques, Rules.Message(number, view.Fields));
		Correlator correlator = isFed ? Correlations(computer) : null;
		if (correlator == null)
			return;
		if (time > _tomorrow)
		{
			// Beside it, what has the right time would not count.
			_future++;
			return;
		}
		_waiting.Add(new Waiting
		{
			Time = time, Order = _arrived++, Rule = number, Computer = computer, Correlator = correlator,
			View = correlator.Needed(number, view.Fields), Evidence = evidence,
		});
		_late += time < _fed ? 1 : 0;
		if (_waiting.Count >= MostWaiting)
			Feed(MostWaiting / 2);
	}

	// Logs are read one after another, and what correlations count is in the order of time.
	private void Feed(int remaining)
	{
		_waiting.Sort(delegate(Waiting left, Waiting right)
		{
			int order = left.Time.CompareTo(right.Time);
			return order != 0 ? order : left.Order.CompareTo(right.Order);
		});
		int count = Math.Max(0, _waiting.Count - remaining);
		for (int index = 0; index < count; index++)
		{
			Waiting next = _waiting[index];
			_fed = Math.Max(_fed, next.Time);
			foreach (CorrelationMatch match in next.Correlator.Feed(next.Rule, next.Time, next.View, next.Evidence))
				ReportMatch(match, next.Computer);
		}
		_waiting.RemoveRange(0, count);
	}

	private void ReportMatch(CorrelationMatch match, string computer)
	{
		Rule rule = Rules.Rule(match.Rule);
		string subject = On(Wording.Subject(rule, match.View), computer);
		int last = match.Evidences.Count - 1;
		for (int index = match.IsContinued ? last : 0; index <= last; index++)
			_tally.Add(rule.Alert, subject, (Dictionary<string, object>)match.Evidences[index], match.FirstTime,
				match.LastTime, index == last ? match.Events : 0, rule.Severity, rule.Techniques,
				Wording.Message(rule, match.View));
	}

	// Null where there are too many.
	private Correlator Correlations(string computer)
	{
		Correlator correlator;
		if (_correlators.TryGetValue(computer, out correlator))
			return correlator;
		_tooMany |= _correlators.Count >= MostComputers;
		return _tooMany ? null : _correlators[computer] = new Correlator(_compiled);
	}

	// "" for this host.
	private string Computer(EventRecord record)
	{
		return record.Computer.Length == 0 || _own.Contains(record.Computer) ? "" : record.Computer;
	}

	private static string On(string subject, string computer)
	{
		return computer.Length == 0 ? subject : subject + " (computer " + Printable.ShowPath(computer) + ")";
	}

	private sealed class Waiting
	{
		public double Time;
		public long Order;
		public int Rule;
		public string Computer;
		public Correlator Correlator;
		public Dictionary<string, object> View;
		public Dictionary<string, object> Evidence;
	}

	// Whether a rule matches by what is known alone.
	private bool IsCertain(int number, EventView view)
	{
		Dictionary<string, object> rule = (Dictionary<string, object>)_entries[number];
		List<object> condition = (List<object>)rule["condition"];
		// An entry of a threat list in any of the fields is one.
		if ((string)condition[0] == "listed")
			return true;
		List<string> names = new List<string>(view.Fields.Keys);
		names.Sort(StringComparer.Ordinal);
		string key = number + " " + string.Join(",", names);
		RuleSet certain;
		if (!_certain.TryGetValue(key, out certain))
		{
			if (_certain.Count >= MostRemembered)
				_certain.Clear();
			Dictionary<string, object> copy = new Dictionary<string, object>(rule);
			copy.Remove("prefilter");
			copy["condition"] = Requirements.Certain(condition, view.Fields.Keys);
			_certain[key] = certain = new RuleSet(new Dictionary<string, object>
			{
				{ "version", _compiled["version"] }, { "rules", new List<object> { copy } },
			});
		}
		return certain.Match(view.Source, view.Fields).Length > 0;
	}
}
}
