// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Tally
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Detections;

/// <summary>
/// Findings of many events, as module_utils/audit/detection/tally.py counts them: one for each alert and subject, with
/// their number, and evidence of the first, the last and the newest of the most severe ones.
/// </summary>
public sealed class Tally
{
	private const int MostGroups = 2000;
	private const int LastEvents = 2;
	private static readonly string[] Severities = { "informational", "low", "medium", "high", "critical" };

	private readonly string _scope;
	private readonly Dictionary<string, Group> _groups = new Dictionary<string, Group>(StringComparer.Ordinal);

	// Events of alerts and subjects beyond what is kept.
	private long _dropped;

	/// <summary>All events.</summary>
	public long Events { get; private set; }

	public Tally(string scope)
	{
		_scope = scope;
	}

	/// <summary>Count events. Times: seconds since the epoch. severity: null for the catalogue's.</summary>
	public void Add(
		string alert, string subject, Dictionary<string, object> evidence, double firstTime, double lastTime,
		long count = 1, string severity = null, IEnumerable<string> techniques = null, string message = null)
	{
		Events += count;
		string key = alert + "\0" + subject;
		Group group;
		if (!_groups.TryGetValue(key, out group))
		{
			if (_groups.Count >= MostGroups)
			{
				_dropped += count;
				return;
			}
			group = _groups[key] = new Group
			{
				Alert = alert, Subject = subject, First = evidence, Severity = severity, FirstTime = firstTime,
				LastTime = lastTime,
			};
		}
		else
		{
			group.Last.Add(evidence);
			if (group.Last.Count > LastEvents)
				group.Last.RemoveAt(0);
		}
		group.Count += count;
		group.FirstTime = Math.Min(group.FirstTime, firstTime);
		group.LastTime = Math.Max(group.LastTime, lastTime);
		if (severity == group.Severity || Rank(severity) > Rank(group.Severity))
		{
			group.Severity = severity;
			group.Worst = evidence;
		}
		foreach (string technique in techniques ?? new string[0])
		{
			if (!group.Techniques.Contains(technique))
				group.Techniques.Add(technique);
		}
		group.Message = message ?? group.Message;
	}

	/// <summary>
	/// Return the detections, the most severe and then the newest first, at most so many; the coverage gets the rest.
	/// </summary>
	public List<object> Detections(long most, ScopeCoverage coverage)
	{
		List<Group> ordered = new List<Group>(_groups.Values);
		ordered.Sort(delegate(Group left, Group right)
		{
			int order = Rank(right.Severity).CompareTo(Rank(left.Severity));
			order = order != 0 ? order : right.LastTime.CompareTo(left.LastTime);
			order = order != 0 ? order : string.CompareOrdinal(left.Alert, right.Alert);
			return order != 0 ? order : string.CompareOrdinal(left.Subject, right.Subject);
		});
		if (ordered.Count > most)
			coverage.Skip("findings", "the least severe findings were left out (" + (ordered.Count - most)
				+ "); raise max_findings (audit_max_findings of the role)");
		if (_dropped > 0)
			coverage.Skip("events", _dropped + " events that match rules were left out, as there were " + MostGroups
				+ " findings already; filter what is noise, or scan more often");
		List<object> detections = new List<object>();
		foreach (Group group in ordered)
		{
			if (detections.Count >= most)
				break;
			detections.Add(group.Detection(_scope));
		}
		return detections;
	}

	// Where a rule says nothing, the catalogue does: in the middle, as far as an order can be known here.
	private static int Rank(string severity)
	{
		return severity == null ? 2 : Array.IndexOf(Severities, severity);
	}

	private sealed class Group
	{
		public string Alert;
		public string Subject;
		public string Severity;
		public string Message;
		public long Count;
		public double FirstTime;
		public double LastTime;
		public Dictionary<string, object> First;
		public Dictionary<string, object> Worst;
		public readonly List<Dictionary<string, object>> Last = new List<Dictionary<string, object>>();
		public readonly List<string> Techniques = new List<string>();

		public Dictionary<string, object> Detection(string scope)
		{
			List<Dictionary<string, object>> shown = new List<Dictionary<string, object>> { First };
			if (Worst != First && !Last.Contains(Worst))
				shown.Add(Worst);
			shown.AddRange(Last);
			return ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Detections.Detections.Make(
				Alert, Subject, scope, shown, Severity, FirstTime, LastTime, Count, Message, Techniques);
		}
	}
}
}
