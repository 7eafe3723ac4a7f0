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
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.ChannelRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.FileRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogLook;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Reading;
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

	private const double Day = 86400;

	// Computers whose sign-ins are told apart; a log of another machine has one or few.
	private const int MostComputers = 200;

	private readonly ModuleCall _call;
	private readonly IEventLog _log;
	private readonly Func<Host> _readHost;
	private readonly Stopwatch _watch = Stopwatch.StartNew();
	private readonly LogLook _look;
	private readonly Summary _summary = new Summary();
	private readonly Dictionary<string, Computer> _computers =
		new Dictionary<string, Computer>(StringComparer.OrdinalIgnoreCase);
	// Of this host, in files that may be of others; empty for its own logs.
	private readonly HashSet<string> _names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
	private readonly Dictionary<string, object> _logs = new Dictionary<string, object>();
	private Dictionary<string, object> _compiled;
	private RuleSet _rules;
	private Host _host = new Host();
	// Channels of which all that is new is looked at.
	private readonly HashSet<string> _begun = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
	private double? _from;
	private double _since;
	private double _last;
	private long _records;
	private long _ofOthers;
	private long _setBack;
	private bool _isOver;

	/// <param name="readHost">Called for the logs of this host only.</param>
	public Collect(ModuleCall call, IEventLog log, IStateFiles files, Func<Host> readHost)
	{
		_call = call;
		_log = log;
		_look = new LogLook(call, files, Name, Scope);
		_readHost = readHost;
	}

	/// <summary>Return the result. Raises UsageException, HostException and StateException.</summary>
	public Dictionary<string, object> Run()
	{
		_look.CheckOptions();
		_call.CheckLeast("first_days", 0);
		double now = LogLook.Now;
		ReadRules();
		Checkpoint checkpoint = _look.Load();
		if (_look.IsOther)
			_names.UnionWith(_log.Names());
		else
			_host = _readHost();
		_since = _look.IsOther ? 0 : now - _call.Number("first_days") * Day;
		Start(checkpoint.State);
		_from = _look.Since();
		if (_look.IsOther)
			ReadPaths();
		else
			ReadHost();
		foreach (Computer computer in _computers.Values)
		{
			if (_look.IsOther)
				Take(computer, computer.SignIns.Rest());
			// Events that were not read for lack of time may be of sign-ins that wait.
			else if (!_isOver)
				Take(computer, computer.SignIns.Settle(DateTime.UtcNow.ToFileTimeUtc()));
		}
		Describe();
		Dictionary<string, object> signIns = _summary.Result();
		signIns["logs"] = _logs;
		Dictionary<string, object> result = new Dictionary<string, object> { { "changed", false }, { "sign_ins", signIns } };
		_look.Finish(checkpoint, State(now), result);
		return result;
	}

	private void ReadRules()
	{
		_compiled = _look.Compiled();
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
		try
		{
			if (LogLook.IsCurrent(state))
			{
				_computers[""] = new Computer(this, "", state);
				_look.RestoreMarks(state);
				_since = Convert.ToDouble(state["since"], CultureInfo.InvariantCulture);
				_computers[""].Last = _last = Convert.ToDouble(state["last"], CultureInfo.InvariantCulture);
				foreach (string channel in Compiled.Texts(state, "begun"))
					_begun.Add(channel);
				return;
			}
		}
		catch (Exception error)
		{
			if (!(error is FormatException || error is InvalidCastException || error is KeyNotFoundException ||
				error is NullReferenceException || error is ArgumentException || error is OverflowException))
				throw;
			_look.Forget(error);
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
				_look.Coverage.Fail(LogErrors.Describe(error) + ": start it");
				return;
			}
			if (error == 0)
				states[channel] = state;
			else if (!LogErrors.IsNotFound(error))
				failures[channel] = LogErrors.Describe(error);
			else
				Report(channel, _look.Missing(channel));
		}
		Need(states, failures.Keys);
		List<ChannelRecords> channels = new List<ChannelRecords>();
		_look.WithExports(delegate(StateDirectory exports)
		{
			List<KeyValuePair<long, IEnumerable<EventRecord>>> logs =
				new List<KeyValuePair<long, IEnumerable<EventRecord>>>();
			foreach (KeyValuePair<string, LogState> state in states)
			{
				ChannelMark mark;
				if (!_look.Marks.TryGetValue(state.Key, out mark) && !state.Value.IsEnabled)
					continue;
				ChannelRecords records = new ChannelRecords(_log, exports, state.Key, Events.Read[state.Key], mark,
					state.Value, IsOver, _look.SkipPath);
				channels.Add(records);
				logs.Add(new KeyValuePair<long, IEnumerable<EventRecord>>(long.MinValue, records.Read()));
			}
			foreach (EventRecord record in SignIns.InOrder(logs))
				Take(record);
		});
		foreach (ChannelRecords channel in channels)
		{
			if (channel.Failure != null)
				failures[channel.Channel] = channel.Failure;
			Finish(channel);
		}
		foreach (KeyValuePair<string, string> failure in failures)
			_look.Skip(failure.Key, failure.Value);
		string unread;
		if (failures.TryGetValue(Events.Security, out unread) || !states.ContainsKey(Events.Security))
			_look.Coverage.Fail("the Security log could not be read" + (unread == null ? "" : ": " + unread));
		if (_isOver)
			_look.Coverage.Skip("newer events", "the time budget was used up; the next run continues there");
	}

	private void Finish(ChannelRecords channel)
	{
		if (channel.Failure != null && channel.Reading.Records == 0)
			return;
		channel.Reading.Finish(channel.Failure != null || channel.IsCutOff);
		foreach (ChannelProblem problem in channel.Reading.Problems)
			Report(channel.Channel, problem);
		if (!channel.IsCutOff && channel.Failure == null)
			_begun.Add(channel.Channel);
		_look.Marks[channel.Channel] = channel.Reading.Next();
		_logs[Printable.ShowPath(channel.Channel)] = channel.Reading.Records;
	}

	private void Need(Dictionary<string, LogState> states, ICollection<string> unknown)
	{
		Dictionary<string, object> recording = _look.Unpack("_recording");
		foreach (object each in Compiled.List(recording, "unknown"))
			_look.Skip((string)((Dictionary<string, object>)each)["subject"],
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
			_look.Coverage.Skip("sign-ins", need);
	}

	// ---- files of other machines

	private void ReadPaths()
	{
		List<KeyValuePair<long, FileRecords>> files = new List<KeyValuePair<long, FileRecords>>();
		Dictionary<FileRecords, string> names = new Dictionary<FileRecords, string>();
		foreach (string path in _call.Texts("paths"))
		{
			foreach (string file in _look.Files(path))
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
				_look.Skip(file.Value, problem);
		}
		if (read == 0)
			_look.Coverage.Fail("no .evtx file could be read at "
				+ Printable.ShowPath(string.Join(" and ", _call.Texts("paths"))));
		if (_isOver)
			_look.Coverage.Skip("newer events", "the time budget was used up before all files were read");
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
		double time = EventRecord.UnixSeconds(record.Time);
		if (_from != null ? time < _from : time < _since && !_begun.Contains(record.Channel))
			return;
		// What is recorded after it is not older, though a clock that was set back says so.
		if (_names.Count == 0)
			_begun.Add(record.Channel);
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
			if (signIn.Seconds < computer.Last - Day)
			{
				computer.Detector.Restart();
				_setBack++;
				_last = Math.Min(_last, signIn.Seconds);
			}
			computer.Last = signIn.Seconds;
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

		// Of the last sign-in.
		public double Last;

		/// <param name="name">"" for the host itself.</param>
		/// <param name="state">Of the last run, null for none.</param>
		public Computer(Collect collect, string name, Dictionary<string, object> state)
		{
			SignIns = new SignIns(
				Member(state, "sign_ins"), collect._host.Addresses, collect._host.Logons, collect._host.LogonsSince);
			History = new History(Member(state, "history"));
			Detector = new Detector(collect._rules, collect._compiled, Member(state, "correlations"), collect._look.Tally,
				name.Length == 0 ? "" : " (computer " + Printable.ShowPath(name) + ")");
		}

		private static Dictionary<string, object> Member(Dictionary<string, object> state, string name)
		{
			return state == null ? null : (Dictionary<string, object>)state[name];
		}
	}

	// ---- what is said

	private void Report(string channel, ChannelProblem problem)
	{
		// Of the Security log it is a detection of the look at events, which reads it whenever there are rules.
		if (problem != null)
			_look.Report(channel, problem, channel != Events.Security);
	}

	private void Describe()
	{
		_look.Coverage.Examined = _records;
		foreach (string problem in _rules.Problems)
			_look.Coverage.Skip("rules", problem);
		if (_rules.Count == 0)
			_look.Coverage.Skip("rules", "there are no rules for sign-ins; give rule_paths, or leave own_rules on");
		long hurried = 0;
		foreach (Computer computer in _computers.Values)
		{
			hurried += computer.SignIns.Hurried;
			foreach (string problem in computer.Detector.Problems)
				_look.Coverage.Skip("correlations", problem);
		}
		Skip("sign-ins", hurried, "were judged before all of their events were read, as too many came at a time");
		Skip("computers", _ofOthers, "records are of more than " + MostComputers + " computers, and were not looked at");
		Skip("clock", _setBack, "times it was set back by more than a day; correlations began anew");
		Skip("sign_ins", _summary.Uncounted, "sign-ins are of more sources or accounts than are counted");
	}

	private void Skip(string subject, long count, string what)
	{
		if (count > 0)
			_look.Coverage.Skip(subject, count.ToString(CultureInfo.InvariantCulture) + " " + what);
	}

	private Dictionary<string, object> State(double now)
	{
		Computer host = _computers[""];
		return new Dictionary<string, object>
		{
			{ "since", _since }, { "begun", new List<string>(_begun) }, { "last", _last },
			{ "sign_ins", host.SignIns.Saved() }, { "history", host.History.Saved() },
			// By the time of the records: they may be behind the clock.
			{ "correlations", host.Detector.State(Math.Min(now, _last)) },
		};
	}
}
}
