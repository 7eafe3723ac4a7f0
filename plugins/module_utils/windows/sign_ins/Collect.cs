// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Collect
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
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.Rules;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sigma.RuleSet;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Detector;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Events;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.History;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Needs;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIn;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.SignIns;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Summary;

/// <summary>
/// The look at the sign-ins since the last recorded run, or in files of event logs: the work of win_sign_in_info.
/// </summary>
public sealed class Collect
{
	public const string Name = "sign_ins";
	public const string Scope = "sign_ins";

	private const double LockSeconds = 600;
	private const double Day = 86400;
	private const long Version = 1;
	private const string Tampered = "audit_state_tampered";

	// Computers whose sign-ins are told apart; a log of another machine has one or few.
	private const int MostComputers = 200;

	private readonly ModuleCall _call;
	private readonly IEventLog _log;
	private readonly IStateFiles _files;
	private readonly Func<Host> _readHost;
	private readonly Stopwatch _watch = Stopwatch.StartNew();
	private readonly ScopeCoverage _coverage = new ScopeCoverage(Scope);
	private readonly Tally _tally = new Tally(Scope);
	private readonly Summary _summary = new Summary();
	private readonly Dictionary<string, ChannelMark> _marks =
		new Dictionary<string, ChannelMark>(StringComparer.OrdinalIgnoreCase);
	private readonly Dictionary<string, Computer> _computers =
		new Dictionary<string, Computer>(StringComparer.OrdinalIgnoreCase);
	// Of this host, in files that may be of others; empty for its own logs.
	private readonly HashSet<string> _names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
	private readonly Dictionary<string, object> _logs = new Dictionary<string, object>();
	private Dictionary<string, object> _compiled;
	private RuleSet _rules;
	private Host _host = new Host();
	private double _since;
	private double _last;
	private long _records;
	private long _ofOthers;
	private bool _isOver;

	/// <param name="readHost">Called for the logs of this host only.</param>
	public Collect(ModuleCall call, IEventLog log, IStateFiles files, Func<Host> readHost)
	{
		_call = call;
		_log = log;
		_files = files;
		_readHost = readHost;
	}

	/// <summary>Return the result. Raises UsageException, HostException and StateException.</summary>
	public Dictionary<string, object> Run()
	{
		bool isOther = _call.Params["paths"] != null;
		foreach (string option in new[] { "first_days", "time_budget" })
		{
			if (_call.Number(option) < 0)
				throw new UsageException(option + " is " + _call.Number(option) + "; use 0 or more");
		}
		bool advance = _call.Flag("_advance") && !_call.CheckMode && !isOther;
		double now = Seconds(DateTime.UtcNow.ToFileTimeUtc());
		ReadRules();
		Checkpoint checkpoint = Checkpoint.Load(
			_files, _call.Text("state_dir"), Name, isOther ? null : _call.Text("_token"), advance,
			Checkpoint.DefaultDirectory);
		if (isOther)
			_names.UnionWith(_log.Names());
		else
			_host = _readHost();
		_since = isOther ? 0 : now - _call.Number("first_days") * Day;
		Start(checkpoint.State);
		if (_call.Params["since"] != null)
			_since = Convert.ToDouble(_call.Params["since"], CultureInfo.InvariantCulture);
		if (isOther)
			ReadPaths();
		else
			ReadHost();
		foreach (Computer computer in _computers.Values)
		{
			if (isOther)
				Take(computer, computer.SignIns.Rest());
			// Events that were not read for lack of time may be of sign-ins that wait.
			else if (!_isOver)
				Take(computer, computer.SignIns.Settle(DateTime.UtcNow.ToFileTimeUtc()));
		}
		Describe();
		Dictionary<string, object> result = new Dictionary<string, object> { { "changed", false } };
		if (checkpoint.Problem != null)
			Damaged(checkpoint.Problem, now);
		result["detections"] = _tally.Detections(_call.Number("max_findings"), _coverage);
		Save(checkpoint, now, result);
		result["coverage"] = new List<object> { _coverage.Entry() };
		Dictionary<string, object> signIns = _summary.Result();
		signIns["logs"] = _logs;
		result["sign_ins"] = signIns;
		return result;
	}

	private void ReadRules()
	{
		_compiled = string.IsNullOrEmpty(_call.Text("_content"))
			? new Dictionary<string, object> { { "version", 1L } }
			: Payload.Unpack(_call.Text("_content"));
		try
		{
			_rules = new RuleSet(_compiled);
		}
		catch (FormatException error)
		{
			throw new UsageException("_content: the rules can't be used: " + error.Message);
		}
	}

	private void Start(Dictionary<string, object> state)
	{
		object version;
		if (!state.TryGetValue("version", out version) || !Version.Equals(version))
			state = null;
		try
		{
			if (state != null)
			{
				_computers[""] = new Computer(this, "", state);
				foreach (KeyValuePair<string, object> channel in (Dictionary<string, object>)state["channels"])
					_marks[channel.Key] = ChannelMark.Restore(channel.Value);
				_since = Convert.ToDouble(state["since"], CultureInfo.InvariantCulture);
				_last = Convert.ToDouble(state["last"], CultureInfo.InvariantCulture);
				return;
			}
		}
		catch (Exception error)
		{
			if (!(error is FormatException || error is InvalidCastException || error is KeyNotFoundException ||
				error is NullReferenceException || error is ArgumentException || error is OverflowException))
				throw;
			_coverage.Skip("checkpoint", "the saved state of the last run can't be used (" + error.Message
				+ "); the logs were read again");
			_marks.Clear();
		}
		_computers[""] = new Computer(this, "", null);
	}

	private bool IsOver()
	{
		long budget = _call.Number("time_budget");
		return _isOver = _isOver || (budget > 0 && _watch.Elapsed.TotalSeconds >= budget);
	}

	// ---- logs of this host

	private void ReadHost()
	{
		Dictionary<string, LogState> states = new Dictionary<string, LogState>(StringComparer.OrdinalIgnoreCase);
		Dictionary<string, string> failures = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
		foreach (string channel in Events.Read.Keys)
		{
			LogState state;
			int error = _log.Read(channel, out state);
			if (LogErrors.IsStopped(error))
			{
				_coverage.Fail(LogErrors.Describe(error) + ": start it");
				return;
			}
			if (error == 0)
				states[channel] = state;
			else if (!LogErrors.IsNotFound(error))
				failures[channel] = LogErrors.Describe(error);
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
		Need(states, failures.Keys);
		List<ChannelRecords> channels = new List<ChannelRecords>();
		using (StateDirectory exports = StateDirectory.Open(_files, Root(), ChannelRecords.ExportDirectory, true))
		using (exports.Lock("lock", LockSeconds))
		{
			ChannelRecords.RemoveExports(exports);
			List<KeyValuePair<long, IEnumerable<EventRecord>>> logs =
				new List<KeyValuePair<long, IEnumerable<EventRecord>>>();
			foreach (KeyValuePair<string, LogState> state in states)
			{
				ChannelMark mark;
				if (!_marks.TryGetValue(state.Key, out mark) && !state.Value.IsEnabled)
					continue;
				ChannelRecords records = new ChannelRecords(_log, exports, state.Key, Events.Read[state.Key], mark,
					state.Value, IsOver, Skip);
				channels.Add(records);
				logs.Add(new KeyValuePair<long, IEnumerable<EventRecord>>(long.MinValue, records.Read()));
			}
			foreach (EventRecord record in SignIns.InOrder(logs))
				Take(record);
		}
		foreach (ChannelRecords channel in channels)
		{
			if (channel.Failure != null)
				failures[channel.Channel] = channel.Failure;
			Finish(channel);
		}
		foreach (KeyValuePair<string, string> failure in failures)
			Skip(failure.Key, failure.Value);
		string unread;
		if (failures.TryGetValue(Events.Security, out unread) || !states.ContainsKey(Events.Security))
			_coverage.Fail("the Security log could not be read" + (unread == null ? "" : ": " + unread));
		if (_isOver)
			_coverage.Skip("newer events", "the time budget was used up; the next run continues there");
	}

	private void Finish(ChannelRecords channel)
	{
		if (channel.Failure != null && channel.Reading.Records == 0)
			return;
		channel.Reading.Finish(channel.Failure != null || channel.IsCutOff);
		foreach (ChannelProblem problem in channel.Reading.Problems)
			Report(channel.Channel, problem);
		_marks[channel.Channel] = channel.Reading.Next();
		_logs[Printable.ShowPath(channel.Channel)] = channel.Reading.Records;
	}

	private void Need(Dictionary<string, LogState> states, ICollection<string> unknown)
	{
		string given = _call.Text("_recording");
		Dictionary<string, object> recording = string.IsNullOrEmpty(given)
			? new Dictionary<string, object>()
			: Payload.Unpack(given);
		foreach (object each in Compiled.List(recording, "unknown"))
			Skip((string)((Dictionary<string, object>)each)["subject"],
				(string)((Dictionary<string, object>)each)["reason"]);
		List<string> channels = new List<string>(unknown);
		foreach (KeyValuePair<string, LogState> state in states)
		{
			if (state.Value.IsEnabled)
				channels.Add(state.Key);
		}
		ICollection<string> recorded = Needs.Recorded(
			Compiled.Member(recording, "subcategories") as Dictionary<string, object>, channels);
		foreach (string need in Needs.Missing(recorded, _host.IsDomainController, _host.HasOpenSsh))
			_coverage.Skip("sign-ins", need);
	}

	// ---- files of other machines

	private void ReadPaths()
	{
		List<KeyValuePair<long, FileRecords>> files = new List<KeyValuePair<long, FileRecords>>();
		Dictionary<FileRecords, string> names = new Dictionary<FileRecords, string>();
		foreach (string path in _call.Texts("paths"))
		{
			IList<string> below = Below(path);
			if (below.Count == 0)
				Skip(path, "has no .evtx file");
			foreach (string file in below)
			{
				string opened = file;
				Func<Stream> open = delegate { return LogFiles.Open(opened); };
				FileRecords records = new FileRecords(open, IsOver);
				names[records] = file;
				files.Add(new KeyValuePair<long, FileRecords>(Begin(new FileRecords(open, IsOver)), records));
			}
		}
		files.Sort(delegate(KeyValuePair<long, FileRecords> left, KeyValuePair<long, FileRecords> right)
		{
			int order = left.Key.CompareTo(right.Key);
			return order != 0 ? order : string.CompareOrdinal(names[left.Value], names[right.Value]);
		});
		foreach (EventRecord record in SignIns.InOrder(files.ConvertAll(delegate(KeyValuePair<long, FileRecords> file)
		{
			return new KeyValuePair<long, IEnumerable<EventRecord>>(file.Key, file.Value.Read());
		})))
			Take(record);
		long read = 0;
		foreach (KeyValuePair<FileRecords, string> file in names)
		{
			read += file.Key.IsRead ? 1 : 0;
			foreach (string problem in file.Key.Problems)
				Skip(file.Value, problem);
		}
		if (read == 0)
			_coverage.Fail("no .evtx file could be read at "
				+ Printable.ShowPath(string.Join(" and ", _call.Texts("paths"))));
		if (_isOver)
			_coverage.Skip("newer events", "the time budget was used up before all files were read");
	}

	private IList<string> Below(string path)
	{
		try
		{
			return LogFiles.Below(path);
		}
		catch (Exception error)
		{
			if (!(error is IOException || error is UnauthorizedAccessException))
				throw;
			Skip(path, "cannot be read: " + error.Message);
			return new string[0];
		}
	}

	private static long Begin(FileRecords file)
	{
		foreach (EventRecord record in file.Read())
			return record.Time;
		return long.MinValue;
	}

	// ---- sign-ins

	private void Take(EventRecord record)
	{
		_records++;
		if (Seconds(record.Time) < _since)
			return;
		// The host may have had other names.
		bool isHost = _names.Count == 0 || record.Computer.Length == 0 || _names.Contains(record.Computer);
		string name = isHost ? "" : record.Computer;
		Computer computer;
		if (!_computers.TryGetValue(name, out computer))
		{
			if (_computers.Count > MostComputers)
			{
				_ofOthers++;
				return;
			}
			computer = _computers[name] = new Computer(this, name, null);
		}
		Take(computer, computer.SignIns.Of(new[] { record }));
	}

	private void Take(Computer computer, IEnumerable<SignIn> signIns)
	{
		foreach (SignIn signIn in signIns)
		{
			_last = Math.Max(_last, signIn.Seconds);
			_summary.Add(signIn);
			Dictionary<string, object> view = signIn.View();
			computer.History.Learn(signIn, view);
			computer.Detector.Take(signIn, view);
		}
	}

	/// <summary>What is known of one computer; of the host itself it is kept for the next run.</summary>
	private sealed class Computer
	{
		public readonly SignIns SignIns;
		public readonly History History;
		public readonly Detector Detector;

		/// <param name="name">"" for the host itself.</param>
		/// <param name="state">Of the last run, null for none.</param>
		public Computer(Collect collect, string name, Dictionary<string, object> state)
		{
			SignIns = new SignIns(Member(state, "sign_ins"), collect._host.Addresses, collect._host.Logons);
			History = new History(Member(state, "history"));
			Detector = new Detector(collect._rules, collect._compiled, Member(state, "correlations"), collect._tally,
				name.Length == 0 ? "" : " (computer " + Printable.ShowPath(name) + ")");
		}

		private static Dictionary<string, object> Member(Dictionary<string, object> state, string name)
		{
			return state == null ? null : (Dictionary<string, object>)state[name];
		}
	}

	// ---- what is said

	private void Skip(string subject, string reason)
	{
		_coverage.Skip(Printable.ShowPath(subject), reason);
	}

	private void Report(string channel, ChannelProblem problem)
	{
		string subject = Printable.ShowPath(channel);
		_coverage.Skip(subject, problem.Reason);
		// Of the Security log it is a detection of the look at events, which reads it whenever there are rules.
		if (problem.Alert.Length == 0 || channel == Events.Security)
			return;
		double now = Seconds(DateTime.UtcNow.ToFileTimeUtc());
		Dictionary<string, object> data = new Dictionary<string, object>
		{
			{ "Channel", subject }, { "problem", problem.Reason },
		};
		_tally.Add(problem.Alert, subject, new Dictionary<string, object> { { "data", data } }, now, now, problem.Count,
			message: char.ToUpperInvariant(problem.Reason[0]) + problem.Reason.Substring(1) + ".");
	}

	private void Damaged(string problem, double now)
	{
		_coverage.Skip("checkpoint", problem + "; the remaining logs were read again");
		string shown = Printable.ShowPath(problem);
		Dictionary<string, object> data = new Dictionary<string, object> { { "problem", shown } };
		_tally.Add(Tampered, "checkpoint of " + Name, new Dictionary<string, object> { { "data", data } }, now, now,
			message: shown);
	}

	private void Describe()
	{
		_coverage.Examined = _records;
		foreach (string problem in _rules.Problems)
			_coverage.Skip("rules", problem);
		if (_rules.Count == 0)
			_coverage.Skip("rules", "there are no rules for sign-ins; give rule_paths, or leave own_rules on");
		long hurried = 0;
		foreach (Computer computer in _computers.Values)
		{
			hurried += computer.SignIns.Hurried;
			foreach (string problem in computer.Detector.Problems)
				_coverage.Skip("correlations", problem);
		}
		Skip("sign-ins", hurried, "were judged before all of their events were read, as too many came at a time");
		Skip("computers", _ofOthers, "records are of more than " + MostComputers + " computers, and were not looked at");
		Skip("sign_ins", _summary.Uncounted, "sign-ins are of more sources or accounts than are counted");
	}

	private void Skip(string subject, long count, string what)
	{
		if (count > 0)
			_coverage.Skip(subject, count.ToString(CultureInfo.InvariantCulture) + " " + what);
	}

	private void Save(Checkpoint checkpoint, double now, Dictionary<string, object> result)
	{
		Dictionary<string, object> channels = new Dictionary<string, object>();
		foreach (KeyValuePair<string, ChannelMark> mark in _marks)
			channels[mark.Key] = mark.Value.State();
		Computer host = _computers[""];
		try
		{
			object saved = checkpoint.Save(new Dictionary<string, object>
			{
				{ "version", Version }, { "since", _since }, { "last", _last }, { "channels", channels },
				{ "sign_ins", host.SignIns.Saved() }, { "history", host.History.Saved() },
				// By the time of the records: they may be behind the clock.
				{ "correlations", host.Detector.State(Math.Min(now, _last)) },
			});
			if (saved != null)
				result["checkpoint"] = saved;
		}
		catch (StateException error)
		{
			_coverage.Skip("checkpoint", error.Message + "; the next run reads the same again");
		}
	}

	private static double Seconds(long time)
	{
		return SignIn.UnixSeconds(time);
	}

	private string Root()
	{
		return string.IsNullOrEmpty(_call.Text("state_dir")) ? StateDirectory.DefaultRoot() : _call.Text("state_dir");
	}
}
}
