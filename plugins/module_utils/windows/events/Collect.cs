// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Collect
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Checkpoint;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.ChannelRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.FileRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogLook;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Reading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Judge;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Requirements;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Sources;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;

/// <summary>
/// The look at the event log since the last recorded run, or at files of event logs: the work of
/// win_audit_events_info.
/// </summary>
public sealed class Collect
{
	public const string Name = "audit_events";
	public const string Scope = "events";

	private const int Exampled = 3;

	// Others are made beside them; these are where clearing is recorded.
	private static readonly string[] Always = { "System", "Security" };
	private static readonly string[] Everywhere = { "Application", "Windows PowerShell" };

	private readonly ModuleCall _call;
	private readonly IEventLog _log;
	private readonly Stopwatch _watch = Stopwatch.StartNew();
	private readonly LogLook _look;
	private readonly Dictionary<string, string> _cleared =
		new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
	private readonly Dictionary<string, object> _channels = new Dictionary<string, object>();
	private readonly HashSet<string> _unreadable = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
	private Dictionary<string, object> _compiled;
	private Judge _judge;
	private long _records;
	private long _sources;
	private double _until;
	private bool _isOver;

	public Collect(ModuleCall call, IEventLog log, IStateFiles files)
	{
		_call = call;
		_log = log;
		_look = new LogLook(call, files, Name, Scope);
	}

	/// <summary>Return the result. Raises UsageException, HostException and StateException.</summary>
	public Dictionary<string, object> Run()
	{
		_look.CheckOptions();
		_compiled = _look.Compiled();
		Checkpoint checkpoint = _look.Load();
		Start(checkpoint.State);
		if (_look.IsOther)
			ReadPaths(_call.Texts("paths"));
		else
			ReadHost();
		_judge.Finish();
		_look.Coverage.Examined = _records;
		foreach (string problem in _judge.Problems)
			_look.Coverage.Skip("rules", problem);
		if (_judge.Rules.Count == 0)
			_look.Coverage.Fail("there are no rules to look with; give rule_paths, or leave own_rules on");
		Dictionary<string, object> result = new Dictionary<string, object> { { "changed", false } };
		// By the time of the records, which may be behind the clock; one that was wrong must not make correlations forget.
		double last = Math.Min(LogLook.Now, _judge.LastTime ?? 0);
		_look.Finish(checkpoint, new Dictionary<string, object> { { "correlations", _judge.State(last) } }, result);
		result["audit_events"] = Figures();
		return result;
	}

	private void Start(Dictionary<string, object> state)
	{
		try
		{
			if (LogLook.IsCurrent(state))
				Restore(state);
		}
		catch (FormatException error)
		{
			_look.Forget(error);
		}
		if (_judge == null)
			_judge = Make(null);
	}

	private void Restore(Dictionary<string, object> state)
	{
		object correlations;
		_look.RestoreMarks(state);
		if (!state.TryGetValue("correlations", out correlations) || !(correlations is Dictionary<string, object>))
			throw new FormatException("it is not complete");
		_judge = Make((Dictionary<string, object>)correlations);
	}

	private Judge Make(Dictionary<string, object> correlations)
	{
		try
		{
			return new Judge(_compiled, correlations, _look.Tally, _log.Names(), _look.IsOther ? null : _log.Volumes(),
				_look.Since());
		}
		catch (FormatException error)
		{
			if (correlations != null)
				throw;
			throw new UsageException("_content: the rules can't be used: " + error.Message);
		}
	}

	private bool IsOver()
	{
		return _isOver = _isOver || _watch.Elapsed.TotalSeconds >= _until;
	}

	// Each log gets its part of what is left: whoever fills one must not keep others from being read.
	private void Share(int logs)
	{
		double budget = _call.Number("time_budget");
		double now = _watch.Elapsed.TotalSeconds;
		_isOver = budget > 0 && now >= budget;
		_until = budget > 0 ? now + (budget - now) / logs : double.PositiveInfinity;
	}

	// ---- logs of this host

	private void ReadHost()
	{
		SortedDictionary<string, SortedSet<int>> events = Events();
		Dictionary<string, LogState> states = new Dictionary<string, LogState>(StringComparer.OrdinalIgnoreCase);
		List<string> failures = new List<string>();
		foreach (string channel in Ordered(events.Keys))
		{
			LogState state;
			int error = _log.Read(channel, out state);
			if (LogErrors.IsStopped(error))
			{
				Stopped(error);
				return;
			}
			states[channel] = state;
			if (error == 0)
				continue;
			ChannelProblem missing = LogErrors.IsNotFound(error) ? _look.Missing(channel) : null;
			if (missing != null)
				_look.Report(channel, missing);
			else if (!LogErrors.IsNotFound(error))
			{
				failures.Add(_look.Skip(channel, LogErrors.Describe(error)));
				_unreadable.Add(channel);
			}
		}
		Need(states);
		List<string> channels = Ordered(events.Keys);
		channels.RemoveAll(delegate(string channel)
		{
			return states[channel] == null || (!states[channel].IsEnabled && !_look.Marks.ContainsKey(channel));
		});
		_look.WithExports(delegate(StateDirectory exports)
		{
			for (int index = 0; index < channels.Count; index++)
			{
				string channel = channels[index];
				Share(channels.Count - index);
				if (!_isOver)
					ReadChannel(exports, channel, events[channel], states[channel], failures);
				if (_isOver)
					_look.Skip(channel, "there was no time for its newer events; the next run continues there");
			}
		});
		if (_sources == 0)
			_look.Coverage.Fail("no channel of the event log could be read"
				+ (failures.Count > 0 ? ": " + failures[0] : ""));
	}

	// Without rules there is nothing to read, and nothing may be counted as read.
	private SortedDictionary<string, SortedSet<int>> Events()
	{
		SortedDictionary<string, SortedSet<int>> events = Requirements.EventIds(Compiled.List(_compiled, "rules"));
		if (events.Count == 0)
			return events;
		bool isEvery = events.Remove(Sources.EveryEvent);
		List<string> channels = new List<string>(Always);
		if (isEvery)
			channels.AddRange(Everywhere);
		foreach (string channel in channels)
		{
			if (!events.ContainsKey(channel))
				events[channel] = new SortedSet<int>();
		}
		if (isEvery)
		{
			foreach (string channel in new List<string>(events.Keys))
				events[channel] = null;
		}
		if (events["System"] != null)
			events["System"].Add(Reading.OtherCleared);
		if (events["Security"] != null)
			events["Security"].Add(Reading.SecurityCleared);
		return events;
	}

	// System first: it has who cleared the others.
	private static List<string> Ordered(IEnumerable<string> channels)
	{
		List<string> ordered = new List<string>(channels);
		int system = ordered.FindIndex(delegate(string channel)
		{
			return channel.Equals("System", StringComparison.OrdinalIgnoreCase);
		});
		if (system > 0)
		{
			string name = ordered[system];
			ordered.RemoveAt(system);
			ordered.Insert(0, name);
		}
		return ordered;
	}

	private void ReadChannel(
		StateDirectory exports, string channel, SortedSet<int> ids, LogState state, List<string> failures)
	{
		ChannelMark mark;
		_look.Marks.TryGetValue(channel, out mark);
		ChannelRecords records = new ChannelRecords(
			_log, exports, channel, ids, mark, state, IsOver, _look.SkipPath);
		Reading reading = records.Reading;
		string by;
		if (_cleared.TryGetValue(channel, out by))
			reading.Clear(by);
		foreach (EventRecord record in records.Read())
			Take(record);
		if (records.Failure != null)
		{
			failures.Add(_look.Skip(channel, records.Failure));
			if (reading.Records == 0)
				return;
		}
		else
			_sources++;
		reading.Finish(records.Failure != null || records.IsCutOff);
		foreach (ChannelProblem problem in reading.Problems)
			_look.Report(channel, problem);
		_look.Marks[channel] = reading.Next();
		_channels[Printable.ShowPath(channel)] = reading.Records;
	}

	private void Stopped(int error)
	{
		string reason = LogErrors.Describe(error);
		_look.Coverage.Fail(reason + ": start it");
		_look.Report("EventLog", new ChannelProblem { Alert = ChannelProblem.Reduced, Reason = reason });
	}

	// ---- files of other machines

	private void ReadPaths(List<string> paths)
	{
		Share(1);
		foreach (string path in paths)
		{
			foreach (string file in _look.Files(path))
			{
				if (IsOver())
				{
					_look.Coverage.Skip("other files", "the time budget was used up before " + Printable.ShowPath(file));
					return;
				}
				string opened = file;
				FileRecords records = new FileRecords(delegate { return LogFiles.Open(opened); }, IsOver);
				foreach (EventRecord record in records.Read())
					Take(record);
				foreach (string problem in records.Problems)
					_look.Skip(file, problem);
				if (records.IsStopped)
					_look.Skip(file, "the time budget was used up before its end");
				_sources += records.IsRead ? 1 : 0;
			}
		}
		if (_sources == 0)
			_look.Coverage.Fail("no .evtx file could be read at " + Printable.ShowPath(string.Join(" and ", paths)));
	}

	// ---- records

	private void Take(EventRecord record)
	{
		_records++;
		if (record.EventId == Reading.OtherCleared && record.Provider == Reading.Eventlog)
		{
			string channel = record.Text("Channel");
			if (channel.Length > 0)
				_cleared[channel] = record.Text("SubjectDomainName") + "\\" + record.Text("SubjectUserName");
		}
		_judge.Take(record);
	}

	// ---- what is said

	/// <summary>Say which rules need what this host does not record, what most of them need first.</summary>
	private void Need(Dictionary<string, LogState> states)
	{
		Dictionary<string, object> recording = Recording(states);
		Dictionary<string, string> titles = new Dictionary<string, string>();
		foreach (object rule in Compiled.List(_compiled, "rules"))
			titles[(string)((Dictionary<string, object>)rule)["id"]] = (string)((Dictionary<string, object>)rule)["title"];
		Requirements requirements = new Requirements(Requirements.Recorded(recording));
		List<KeyValuePair<string, SortedSet<string>>> needs = new List<KeyValuePair<string, SortedSet<string>>>(
			requirements.Missing(Compiled.List(_compiled, "rules")));
		// A terminal shows the first one only.
		needs.Sort(delegate(KeyValuePair<string, SortedSet<string>> left, KeyValuePair<string, SortedSet<string>> right)
		{
			int order = right.Value.Count.CompareTo(left.Value.Count);
			return order != 0 ? order : string.CompareOrdinal(left.Key, right.Key);
		});
		foreach (KeyValuePair<string, SortedSet<string>> need in needs)
		{
			List<string> examples = new List<string>();
			foreach (string id in need.Value)
			{
				if (examples.Count < Exampled)
					examples.Add("'" + Printable.ShowPath(titles[id]) + "'");
			}
			_look.Coverage.Skip(need.Key, string.Format(CultureInfo.InvariantCulture,
				"not recorded on this host: {0} {1} it, as {2}", need.Value.Count,
				need.Value.Count == 1 ? "rule needs" : "rules need", string.Join(", ", examples)));
		}
	}

	// What win_audit_policy_info found out, and what channels there are; of the rest nothing is known.
	private Dictionary<string, object> Recording(Dictionary<string, LogState> states)
	{
		Dictionary<string, object> recording = _look.Unpack("_recording");
		foreach (string section in new[] { "subcategories", "channels", "powershell", "powershell_core", "sysmon" })
		{
			if (!recording.ContainsKey(section))
				recording[section] = new Dictionary<string, object>();
		}
		Default(recording, "command_lines");
		foreach (string shell in new[] { "powershell", "powershell_core" })
			Default((Dictionary<string, object>)recording[shell], "script_blocks", "modules");
		foreach (object unknown in Compiled.List(recording, "unknown"))
		{
			Dictionary<string, object> each = (Dictionary<string, object>)unknown;
			_look.Coverage.Skip((string)each["subject"], (string)each["reason"]);
		}
		Dictionary<string, object> channels = (Dictionary<string, object>)recording["channels"];
		foreach (KeyValuePair<string, LogState> state in states)
			channels[state.Key] = new Dictionary<string, object>
			{
				{
					"enabled",
					_unreadable.Contains(state.Key) ? null : (object)(state.Value != null && state.Value.IsEnabled)
				},
			};
		Dictionary<string, object> sysmon = (Dictionary<string, object>)recording["sysmon"];
		Default(sysmon, "running", "channel");
		LogState own;
		if (states.TryGetValue(Sources.Sysmon, out own) && !_unreadable.Contains(Sources.Sysmon))
			sysmon["channel"] = own != null && own.IsEnabled;
		return recording;
	}

	private static void Default(Dictionary<string, object> section, params string[] names)
	{
		foreach (string name in names)
		{
			if (!section.ContainsKey(name))
				section[name] = null;
		}
	}

	// ---- the result

	private Dictionary<string, object> Figures()
	{
		return new Dictionary<string, object>
		{
			{ "events", _records },
			{ "matches", _look.Tally.Events },
			{ "uncertain", _judge.Uncertain },
			{ "logs", _sources },
			{ "channels", _channels },
			{ "rules", (long)_judge.Rules.Count },
			{ "first_time", _judge.FirstTime },
			{ "last_time", _judge.LastTime },
			{ "seconds", Math.Round(_watch.Elapsed.TotalSeconds, 3) },
		};
	}
}
}
