// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Detector
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Tally;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Correlator;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.RuleSet;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;

/// <summary>
/// Matches rules with the sign-ins of one computer, and counts what they find: one detection for each alert and
/// subject, as module_utils/audit/sign_ins/detect.py.
/// </summary>
public sealed class Detector
{
	private const string Source = "sign_in";
	private const int MostCounted = 20000;

	private readonly RuleSet _rules;
	private readonly Dictionary<string, object> _compiled;
	private Correlator _correlator;
	private readonly Tally _tally;
	private readonly string _suffix;
	private readonly Dictionary<string, Dictionary<int, long>> _counts =
		new Dictionary<string, Dictionary<int, long>>(StringComparer.Ordinal);

	/// <param name="correlations">What State returned; null for nothing. FormatException for what it never returns.
	/// </param>
	/// <param name="suffix">Appended to each subject.</param>
	public Detector(
		RuleSet rules, Dictionary<string, object> compiled, Dictionary<string, object> correlations, Tally tally,
		string suffix)
	{
		_rules = rules;
		_compiled = compiled;
		_correlator = new Correlator(compiled, correlations);
		_tally = tally;
		_suffix = suffix;
	}

	/// <summary>A sentence for each correlation that forgot something.</summary>
	public List<string> Problems
	{
		get { return _correlator.Problems; }
	}

	/// <summary>Forget what is not true yet: beside what a clock has dated later, nothing that follows would count.
	/// </summary>
	public void Restart()
	{
		_correlator = new Correlator(_compiled);
	}

	/// <summary>What the next run has to know. now: seconds since the epoch.</summary>
	public Dictionary<string, object> State(double now)
	{
		return _correlator.State(now);
	}

	/// <param name="view">The sign-in's, with what is new about it.</param>
	public void Take(SignIn signIn, Dictionary<string, object> view)
	{
		int[] matches = _rules.Match(Source, view);
		if (matches.Length == 0)
			return;
		List<object> evidence = new List<object> { signIn.Evidence() };
		foreach (int number in matches)
		{
			if (!_rules.Rule(number).IsComponent)
				Add(number, view, evidence, signIn.Seconds, signIn.Seconds, 1);
			foreach (CorrelationMatch match in _correlator.Feed(number, signIn.Seconds, view, evidence[0]))
			{
				int last = match.Evidences.Count - 1;
				Add(match.Rule, match.View, match.IsContinued ? match.Evidences.GetRange(last, 1) : match.Evidences,
					match.FirstTime, match.LastTime, match.Events);
			}
		}
	}

	private void Add(
		int number, Dictionary<string, object> view, List<object> evidences, double first, double last, long count)
	{
		Rule rule = _rules.Rule(number);
		string subject = _rules.Subject(number, view) + _suffix;
		long more = Counted(rule.Alert, subject, number, count);
		foreach (object evidence in evidences)
		{
			_tally.Add(rule.Alert, subject, (Dictionary<string, object>)evidence, first, last, more, rule.Severity,
				rule.Techniques, _rules.Message(number, view));
			// All are counted with the first; the others only show more of it.
			more = 0;
		}
	}

	// By how many events a finding grows: rules for fast and slow attacks see the same ones.
	private long Counted(string alert, string subject, int number, long count)
	{
		string key = alert + "\0" + subject;
		Dictionary<int, long> counts;
		if (!_counts.TryGetValue(key, out counts))
		{
			counts = new Dictionary<int, long>();
			if (_counts.Count < MostCounted)
				_counts[key] = counts;
		}
		long before = 0;
		foreach (long each in counts.Values)
			before = Math.Max(before, each);
		long own;
		counts.TryGetValue(number, out own);
		counts[number] = own + count;
		return Math.Max(before, own + count) - before;
	}
}
}
