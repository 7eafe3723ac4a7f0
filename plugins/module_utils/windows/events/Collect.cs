// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.events.Collect
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Checkpoint;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Payload;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.ChannelRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.FileRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Reading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Tally;
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

	private const double LockSeconds = 600;
	private const long Version = 1;
	private const int Exampled = 3;
	private const string Tampered = "audit_state_tampered";

	// Others are made beside them; these are where clearing is recorded.
	private static readonly string[] Always = { "System", "Security" };
	private static readonly string[] Everywhere = { "Application", "Windows PowerShell" };

	private readonly ModuleCall _call;
	private readonly IEventLog _log;
	private readonly IStateFiles _files;
	private readonly Stopwatch _watch = Stopwatch.StartNew();
	private readonly ScopeCoverage _coverage = new ScopeCoverage(Scope);
	private readonly Tally _tally = new Tally(Scope);
	private readonly Dictionary<string, ChannelMark> _marks =
		new Dictionary<string, ChannelMark>(StringComparer.OrdinalIgnoreCase);
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
		_files = files;
	}

	/// <summary>Return the result. Raises UsageException, HostException and StateException.</summary>
	public Dictionary<string, object> Run()
	{
		List<string> paths = _call.Texts("paths");
		bool isOther = _call.Params["paths"] != null;
		bool advance = _call.Flag("_advance") && !_call.CheckMode && !isOther;
		_compiled = string.IsNullOrEmpty(_call.Text("_content"))
			? new Dictionary<string, object> { { "version", 1L } }
			: Payload.Unpack(_call.Text("_content"));
		Checkpoint checkpoint = Checkpoint.Load(
			_files, _call.Text("state_dir"), Name, isOther ? null : _call.Text("_token"), advance,
			Checkpoint.DefaultDirectory);
		Start(checkpoint.State, isOther);
		if (isOther)
			ReadPaths(paths);
		else
			ReadHost();
		_judge.Finish();
		_coverage.Examined = _records;
		foreach (string problem in _judge.Problems)
			_coverage.Skip("rules", problem);
		if (_judge.Rules.Count == 0)
			_coverage.Fail("there are no rules to look with; give rule_paths, or leave own_rules on");
		Dictionary<string, object> result = new Dictionary<string, object> { { "changed", false } };
		if (checkpoint.Problem != null)
			Damaged(checkpoint.Problem);
		result["detections"] = _tally.Detections(_call.Number("max_findings"), _coverage);
		Save(checkpoint, result);
		result["coverage"] = new List<object> { _coverage.Entry() };
		result["audit_events"] = Figures();
		return result;
	}

	private void Start(Dictionary<string, object> state, bool isOther)
	{
		try
		{
			if (state.Count > 0)
				Restore(state, isOther);
		}
		catch (FormatException error)
		{
			_coverage.Skip("checkpoint", "the saved state of the last run can't be used (" + error.Message
				+ "); the logs were read again");
			_marks.Clear();
			_judge = null;
		}
		if (_judge == null)
			_judge = Make(null, isOther);
	}

	private void Restore(Dictionary<string, object> state, bool isOther)
	{
		object version, channels, correlations;
		state.TryGetValue("version", out version);
		if (!Version.Equals(version))
			return;
		if (!state.TryGetValue("channels", out channels) || !(channels is Dictionary<string, object>) ||
			!state.TryGetValue("correlations", out correlations) || !(correlations is Dictionary<string, object>))
			throw new FormatException("it is not complete");
		foreach (KeyValuePair<string, object> channel in (Dictionary<string, object>)channels)
			_marks[channel.Key] = ChannelMark.Restore(channel.Value);
		_judge = Make((Dictionary<string, object>)correlations, isOther);
	}

	private Judge Make(Dictionary<string, object> correlations, bool isOther)
	{
		double? since = _call.Params["since"] == null
			? (double?)null
			: Convert.ToDouble(_call.Params["since"], CultureInfo.InvariantCulture);
		try
		{
			return new Judge(
				_compiled, correlations, _tally, _log.Names(), isOther ? null : _log.Volumes(), since);
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
			if (!LogErrors.IsNotFound(error))
			{
				failures.Add(Skip(channel, LogErrors.Describe(error)));
				_unreadable.Add(channel);
			}
			else if (_marks.ContainsKey(channel))
			{
				Report(channel, new ChannelProblem
				{
					Alert = _marks[channel].IsEnabled ? ChannelProblem.Reduced : "",
					Reason = "channel " + Printable.ShowPath(channel) + " was read before, and the host has it no more",
				});
				_marks[channel].IsEnabled = false;
			}
		}
		Need(states);
		using (StateDirectory exports = StateDirectory.Open(_files, Root(), ChannelRecords.ExportDirectory, true))
		using (exports.Lock("lock", LockSeconds))
		{
			ChannelRecords.RemoveExports(exports);
			List<string> channels = Ordered(events.Keys);
			channels.RemoveAll(delegate(string channel)
			{
				return states[channel] == null || (!states[channel].IsEnabled && !_marks.ContainsKey(channel));
			});
			for (int index = 0; index < channels.Count; index++)
			{
				Share(channels.Count - index);
				if (!_isOver)
					ReadChannel(exports, channels[index], events[channels[index]], states[channels[index]], failures);
				if (_isOver)
					_coverage.Skip(Printable.ShowPath(channels[index]),
						"there was no time for its newer events; the next run continues there");
			}
		}
		if (_sources == 0)
			_coverage.Fail("no channel of the event log could be read"
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
		_marks.TryGetValue(channel, out mark);
		ChannelRecords records = new ChannelRecords(
			_log, exports, channel, ids, mark, state, IsOver, delegate(string subject, string reason) { Skip(subject, reason); });
		Reading reading = records.Reading;
		string by;
		if (_cleared.TryGetValue(channel, out by))
			reading.Clear(by);
		foreach (EventRecord record in records.Read())
			Take(record);
		if (records.Failure != null)
		{
			failures.Add(Skip(channel, records.Failure));
			if (reading.Records == 0)
				return;
		}
		else
			_sources++;
		reading.Finish(records.Failure != null || records.IsCutOff);
		foreach (ChannelProblem problem in reading.Problems)
			Report(channel, problem);
		_marks[channel] = reading.Next();
		_channels[Printable.ShowPath(channel)] = reading.Records;
	}

	private void Stopped(int error)
	{
		string reason = LogErrors.Describe(error);
		_coverage.Fail(reason + ": start it");
		Report("EventLog", new ChannelProblem { Alert = ChannelProblem.Reduced, Reason = reason });
	}

	// ---- files of other machines

	private void ReadPaths(List<string> paths)
	{
		Share(1);
		foreach (string path in paths)
		{
			IList<string> files;
			try
			{
				files = LogFiles.Below(path);
			}
			catch (Exception error)
			{
				if (!(error is IOException || error is UnauthorizedAccessException))
					throw;
				Skip(path, "cannot be read: " + error.Message);
				continue;
			}
			if (files.Count == 0)
				Skip(path, "has no .evtx file");
			foreach (string file in files)
			{
				if (IsOver())
				{
					_coverage.Skip("other files", "the time budget was used up before " + Printable.ShowPath(file));
					return;
				}
				string opened = file;
				FileRecords records = new FileRecords(delegate { return LogFiles.Open(opened); }, IsOver);
				foreach (EventRecord record in records.Read())
					Take(record);
				foreach (string problem in records.Problems)
					Skip(file, problem);
				_sources += records.IsRead ? 1 : 0;
			}
		}
		if (_sources == 0)
			_coverage.Fail("no .evtx file could be read at " + Printable.ShowPath(string.Join(" and ", paths)));
	}

	// ---- records

	private void Take(EventRecord record)
	{
		_records++;
		if (record.EventId == Reading.OtherCleared && record.Provider == Reading.Eventlog)
		{
			string channel = Text(record, "Channel");
			if (channel.Length > 0)
				_cleared[channel] = Text(record, "SubjectDomainName") + "\\" + Text(record, "SubjectUserName");
		}
		_judge.Take(record);
	}

	private static string Text(EventRecord record, string name)
	{
		foreach (KeyValuePair<string, object> field in record.Fields)
		{
			if (field.Key == name && field.Value is string)
				return (string)field.Value;
		}
		return "";
	}

	// ---- what is said

	private string Skip(string subject, string reason)
	{
		_coverage.Skip(Printable.ShowPath(subject), reason);
		return Printable.ShowPath(subject) + ": " + reason;
	}

	private void Report(string channel, ChannelProblem problem)
	{
		string subject = Printable.ShowPath(channel);
		_coverage.Skip(subject, problem.Reason);
		if (problem.Alert.Length == 0)
			return;
		double now = Judge.Seconds(DateTime.UtcNow.ToFileTimeUtc());
		Dictionary<string, object> data = new Dictionary<string, object>
		{
			{ "Channel", subject }, { "problem", problem.Reason },
		};
		_tally.Add(problem.Alert, subject, new Dictionary<string, object> { { "data", data } }, now, now, problem.Count,
			message: char.ToUpperInvariant(problem.Reason[0]) + problem.Reason.Substring(1) + ".");
	}

	private void Damaged(string problem)
	{
		_coverage.Skip("checkpoint", problem + "; the remaining logs were read again");
		double now = Judge.Seconds(DateTime.UtcNow.ToFileTimeUtc());
		string shown = Printable.ShowPath(problem);
		Dictionary<string, object> data = new Dictionary<string, object> { { "problem", shown } };
		_tally.Add(Tampered, "checkpoint of " + Name, new Dictionary<string, object> { { "data", data } }, now, now,
			message: shown);
	}

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
			_coverage.Skip(need.Key, string.Format(CultureInfo.InvariantCulture,
				"not recorded on this host: {0} {1} it, as {2}", need.Value.Count,
				need.Value.Count == 1 ? "rule needs" : "rules need", string.Join(", ", examples)));
		}
	}

	// What win_audit_policy_info found out, and what channels there are; of the rest nothing is known.
	private Dictionary<string, object> Recording(Dictionary<string, LogState> states)
	{
		string given = _call.Text("_recording");
		Dictionary<string, object> recording = string.IsNullOrEmpty(given)
			? new Dictionary<string, object>()
			: Payload.Unpack(given);
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
			_coverage.Skip((string)each["subject"], (string)each["reason"]);
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

	private void Save(Checkpoint checkpoint, Dictionary<string, object> result)
	{
		Dictionary<string, object> channels = new Dictionary<string, object>();
		foreach (KeyValuePair<string, ChannelMark> mark in _marks)
			channels[mark.Key] = mark.Value.State();
		try
		{
			object saved = checkpoint.Save(new Dictionary<string, object>
			{
				{ "version", Version }, { "channels", channels }, { "correlations", _judge.State(_judge.LastTime ?? 0) },
			});
			if (saved != null)
				result["checkpoint"] = saved;
		}
		catch (StateException error)
		{
			_coverage.Skip("checkpoint", error.Message + "; the next run reads the same again");
		}
	}

	private Dictionary<string, object> Figures()
	{
		return new Dictionary<string, object>
		{
			{ "events", _records },
			{ "matches", _tally.Events },
			{ "uncertain", _judge.Uncertain },
			{ "logs", _sources },
			{ "channels", _channels },
			{ "rules", (long)_judge.Rules.Count },
			{ "first_time", _judge.FirstTime },
			{ "last_time", _judge.LastTime },
			{ "seconds", Math.Round(_watch.Elapsed.TotalSeconds, 3) },
		};
	}

	private string Root()
	{
		return string.IsNullOrEmpty(_call.Text("state_dir")) ? StateDirectory.DefaultRoot() : _call.Text("state_dir");
	}
}
}
