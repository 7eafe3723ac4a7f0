// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.evtx.EventRecord;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogLook
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Checkpoint;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Payload;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Printable;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.ChannelRecords;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.LogFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Reading;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.event_log.Tally;

/// <summary>What modules that look at event logs share: their marks, their checkpoint, and what they report.</summary>
public sealed class LogLook
{
	private const double LockSeconds = 600;
	private const long Version = 1;
	private const string Tampered = "audit_state_tampered";

	private readonly ModuleCall _call;
	private readonly IStateFiles _files;
	private readonly string _name;

	public readonly ScopeCoverage Coverage;
	public readonly Tally Tally;

	/// <summary>How far each channel was read, by its name.</summary>
	public readonly Dictionary<string, ChannelMark> Marks =
		new Dictionary<string, ChannelMark>(StringComparer.OrdinalIgnoreCase);

	/// <param name="name">Of the checkpoint.</param>
	/// <param name="scope">Of the coverage and the findings.</param>
	public LogLook(ModuleCall call, IStateFiles files, string name, string scope)
	{
		_call = call;
		_files = files;
		_name = name;
		Coverage = new ScopeCoverage(scope);
		Tally = new Tally(scope);
	}

	/// <summary>Whether files of event logs are read, not the logs of this host.</summary>
	public bool IsOther
	{
		get { return _call.Params["paths"] != null; }
	}

	/// <summary>The current time, in seconds since the epoch.</summary>
	public static double Now
	{
		get { return EventRecord.UnixSeconds(DateTime.UtcNow.ToFileTimeUtc()); }
	}

	/// <summary>Raise UsageException for options that both modules have and that are wrong.</summary>
	public void CheckOptions()
	{
		LogFiles.Check(_call.Texts("paths"));
		_call.CheckLeast("max_findings", 1);
		_call.CheckLeast("time_budget", 0);
	}

	/// <summary>Return a compressed option, empty if it was not given. Raises UsageException.</summary>
	public Dictionary<string, object> Unpack(string option)
	{
		return string.IsNullOrEmpty(_call.Text(option))
			? new Dictionary<string, object>()
			: Payload.Unpack(_call.Text(option));
	}

	/// <summary>Return the compiled rules; a set without rules if none were given. Raises UsageException.</summary>
	public Dictionary<string, object> Compiled()
	{
		Dictionary<string, object> compiled = Unpack("_content");
		if (compiled.Count == 0)
			compiled["version"] = 1L;
		return compiled;
	}

	/// <summary>Return the time before which nothing is judged, in seconds since the epoch; null for all.</summary>
	public double? Since()
	{
		return _call.Params["since"] == null
			? (double?)null
			: Convert.ToDouble(_call.Params["since"], CultureInfo.InvariantCulture);
	}

	/// <summary>Load what the last run remembered; nothing for files of other machines. Raises StateException.
	/// </summary>
	public Checkpoint Load()
	{
		bool advance = _call.Flag("_advance") && !_call.CheckMode && !IsOther;
		return Checkpoint.Load(_files, _call.Text("state_dir"), _name, IsOther ? null : _call.Text("_token"), advance,
			Checkpoint.DefaultDirectory);
	}

	/// <summary>Say whether a state has this version's form; an older one is not used.</summary>
	public static bool IsCurrent(Dictionary<string, object> state)
	{
		object version;
		return state.TryGetValue("version", out version) && Version.Equals(version);
	}

	/// <summary>Take the marks of a state. Raises FormatException for what Save did not make.</summary>
	public void RestoreMarks(Dictionary<string, object> state)
	{
		object channels;
		if (!state.TryGetValue("channels", out channels) || !(channels is Dictionary<string, object>))
			throw new FormatException("it is not complete");
		foreach (KeyValuePair<string, object> channel in (Dictionary<string, object>)channels)
			Marks[channel.Key] = ChannelMark.Restore(channel.Value);
	}

	/// <summary>Begin anew, and say so.</summary>
	public void Forget(Exception error)
	{
		Coverage.Skip("checkpoint", "the saved state of the last run can't be used (" + error.Message
			+ "); the logs were read again");
		Marks.Clear();
	}

	/// <summary>Add the detections to a result, and save the marks with the rest of the state.</summary>
	public void Finish(Checkpoint checkpoint, Dictionary<string, object> state, Dictionary<string, object> result)
	{
		if (checkpoint.Problem != null)
			Damaged(checkpoint.Problem);
		result["detections"] = Tally.Detections(_call.Number("max_findings"), Coverage);
		Dictionary<string, object> channels = new Dictionary<string, object>();
		foreach (KeyValuePair<string, ChannelMark> mark in Marks)
			channels[mark.Key] = mark.Value.State();
		state["version"] = Version;
		state["channels"] = channels;
		try
		{
			object saved = checkpoint.Save(state);
			if (saved != null)
				result["checkpoint"] = saved;
		}
		catch (StateException error)
		{
			Coverage.Skip("checkpoint", error.Message + "; the next run reads the same again");
		}
		result["coverage"] = new List<object> { Coverage.Entry() };
	}

	/// <summary>
	/// Call an action with the directory of exports, without those of a run that was killed; no other run uses it
	/// meanwhile. Raises StateException.
	/// </summary>
	public void WithExports(Action<StateDirectory> action)
	{
		string root = string.IsNullOrEmpty(_call.Text("state_dir"))
			? StateDirectory.DefaultRoot()
			: _call.Text("state_dir");
		using (StateDirectory exports = StateDirectory.Open(_files, root, ChannelRecords.ExportDirectory, true))
		using (exports.Lock("lock", LockSeconds))
		{
			ChannelRecords.RemoveExports(exports);
			action(exports);
		}
	}

	/// <summary>Return the files of event logs at a path; none, with the reason in the coverage, if there are none.
	/// </summary>
	public IList<string> Files(string path)
	{
		try
		{
			List<string> files = LogFiles.Below(path, SkipPath);
			if (files.Count == 0)
				Skip(path, "has no .evtx file");
			return files;
		}
		catch (Exception error)
		{
			if (!(error is IOException || error is UnauthorizedAccessException))
				throw;
			Skip(path, "cannot be read: " + error.Message);
			return new string[0];
		}
	}

	/// <summary>Say in the coverage what was not read, and return it as a sentence without a full stop.</summary>
	public string Skip(string subject, string reason)
	{
		Coverage.Skip(Printable.ShowPath(subject), reason);
		return Printable.ShowPath(subject) + ": " + reason;
	}

	/// <summary>Say in the coverage what was not read.</summary>
	public void SkipPath(string subject, string reason)
	{
		Skip(subject, reason);
	}

	/// <summary>Return what is wrong with a channel that the host does not have; null if it never had it.</summary>
	public ChannelProblem Missing(string channel)
	{
		ChannelMark mark;
		if (!Marks.TryGetValue(channel, out mark))
			return null;
		ChannelProblem problem = new ChannelProblem
		{
			Alert = mark.IsEnabled ? ChannelProblem.Reduced : "",
			Reason = "channel " + Printable.ShowPath(channel) + " was read before, and the host has it no more",
		};
		mark.IsEnabled = false;
		return problem;
	}

	/// <summary>Say what is wrong with a channel, and count it as a finding if it is one.</summary>
	public void Report(string channel, ChannelProblem problem, bool isFinding = true)
	{
		string subject = Printable.ShowPath(channel);
		Coverage.Skip(subject, problem.Reason);
		if (isFinding && problem.Alert.Length > 0)
			Tally.Add(problem.Alert, subject, Evidence("Channel", subject, problem.Reason), Now, Now, problem.Count,
				message: char.ToUpperInvariant(problem.Reason[0]) + problem.Reason.Substring(1) + ".", isOwn: true);
	}

	private void Damaged(string problem)
	{
		Coverage.Skip("checkpoint", problem + "; the remaining logs were read again");
		string shown = Printable.ShowPath(problem);
		Tally.Add(Tampered, "checkpoint of " + _name, Evidence(null, null, shown), Now, Now, message: shown,
			isOwn: true);
	}

	private static Dictionary<string, object> Evidence(string name, string value, string problem)
	{
		Dictionary<string, object> data = new Dictionary<string, object>();
		if (name != null)
			data[name] = value;
		data["problem"] = problem;
		return new Dictionary<string, object> { { "data", data } };
	}
}
}
