// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using Ansible.Basic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Apply
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Errors;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Module;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Baseline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostState;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Look;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Revision;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RunCoverage;

/// <summary>Make, extend, accept into and remove the baseline: the work of win_file_integrity.</summary>
public static class Apply
{
	/// <summary>Called by the module.</summary>
	public static void Run(AnsibleModule module)
	{
		using (Host host = Host.Local())
			ModuleRun.Run(module, delegate(ModuleCall call) { return Of(call, host); });
	}

	/// <summary>
	/// Return the result; with _compare also "comparison", that of win_file_integrity_info, where there was a
	/// baseline before. Raises UsageException and StateException.
	/// </summary>
	public static Dictionary<string, object> Of(ModuleCall call, Host host)
	{
		Options options = Options.Parse(call.Params);
		Dictionary<string, object> result = Changed(options, host, call.CheckMode);
		bool isOver = IsSet(result, "failed") || IsSet(result, "created") || result.ContainsKey("staged_digest");
		if (options.Compares && !isOver)
		{
			Dictionary<string, object> comparison = Look.Compared(options, host);
			result["comparison"] = comparison;
			result["baseline"] = comparison["baseline"];
		}
		return result;
	}

	private static bool IsSet(Dictionary<string, object> result, string name)
	{
		object value;
		return result.TryGetValue(name, out value) && true.Equals(value);
	}

	private static Dictionary<string, object> Changed(Options options, Host host, bool checkMode)
	{
		if (options.IsAbsent)
			return Remove(options, checkMode);
		switch (options.Phase)
		{
			case "commit":
				return Commit(options, checkMode);
			case "abort":
				return Abort(options, checkMode);
			default:
				return Present(options, host, checkMode);
		}
	}

	private static Dictionary<string, object> Present(Options options, Host host, bool checkMode)
	{
		// Looking needs neither the lock nor a directory that can be written.
		StateDirectory state;
		Opened opened = HostState.Look(options, out state);
		using (state)
		{
			using (opened)
			{
				if (opened.IsUnusable)
					throw new StateException(opened.Problem);
				Dictionary<string, object> settled = Settled(options, opened, state, host);
				if (settled != null)
					return settled;
			}
			if (checkMode)
			{
				using (Opened again = HostState.Open(state, options))
					return Preview(options, again, state, host);
			}
		}
		try
		{
			using (StateDirectory written = HostState.OpenState(options, true))
			using (HostState.Lock(written, options))
				return Revise(options, written, host);
		}
		catch (StateException error)
		{
			if (opened.Seal == null || options.Accept.Count > 0)
				throw;
			// There is a baseline all the same, and what it has can be compared.
			opened.Problem = error.Message;
			return Refused(options, opened);
		}
	}

	// Null where the baseline is to be changed.
	private static Dictionary<string, object> Settled(
		Options options, Opened opened, StateDirectory state, Host host)
	{
		if (opened.Alert != null || (opened.Baseline == null && options.Accept.Count > 0))
			return Refused(options, opened);
		if (opened.Baseline != null && options.Unsealed)
		{
			opened.Problem = HostState.NoSeal;
			return Refused(options, opened);
		}
		Revision revision = new Revision(options, opened, state, host, new Deadline(options.TimeBudget));
		if (revision.IsNeeded)
			return null;
		Dictionary<string, object> result = revision.Unchanged();
		result["created"] = false;
		return result;
	}

	private static Dictionary<string, object> Preview(
		Options options, Opened opened, StateDirectory state, Host host)
	{
		Revision revision = new Revision(options, opened, state, host, new Deadline(options.TimeBudget));
		Dictionary<string, object> result = revision.Preview();
		result["created"] = opened.Baseline == null;
		return result;
	}

	private static Dictionary<string, object> Revise(Options options, StateDirectory state, Host host)
	{
		string staged = HostState.StagedName(options);
		using (Opened opened = HostState.Open(state, options))
		{
			// Another run may have changed the baseline before this one had the lock.
			Dictionary<string, object> settled = Settled(options, opened, state, host);
			if (settled != null)
				return settled;
			state.Remove(staged);
			bool isStage = options.Phase == "stage";
			Revision revision = new Revision(options, opened, state, host, new Deadline(options.TimeBudget));
			Dictionary<string, object> result = revision.Write(isStage ? staged : HostState.FileName(options));
			result["created"] = opened.Baseline == null;
			object written;
			if (result.TryGetValue("written", out written))
			{
				result.Remove("written");
				if (isStage)
					result["staged_digest"] = written;
			}
			return result;
		}
	}

	// Let the staged baseline that the controller noted the digest of take its place; harmless when it already has.
	private static Dictionary<string, object> Commit(Options options, bool checkMode)
	{
		using (StateDirectory state = HostState.OpenState(options, false))
		{
			if (state == null || checkMode)
				throw new StateException("there is no staged baseline to take over");
			string name = HostState.FileName(options);
			string stagedName = HostState.StagedName(options);
			using (state.Lock(options.Baseline + ".lock", options.LockTimeout))
			{
				string seal = null;
				using (Baseline current = Baseline.Open(state, name))
				{
					seal = current == null ? null : current.Seal;
					if (current != null && seal == options.Digest)
						return Committed(false, current);
				}
				using (Baseline staged = Baseline.Open(state, stagedName))
				{
					if (staged == null || staged.Seal != options.Digest)
						throw new StateException(
							"the staged baseline is not there any more, or is another one; run the task again");
					if (staged.Header.Parent == seal)
					{
						state.Replace(name, staged.CopyTo);
						state.Remove(stagedName);
						return Committed(true, staged);
					}
				}
				state.Remove(stagedName);
				throw new StateException("the baseline changed since this change was staged; run the task again");
			}
		}
	}

	private static Dictionary<string, object> Committed(bool isChanged, Baseline baseline)
	{
		Dictionary<string, object> result = new Dictionary<string, object>();
		result["changed"] = isChanged;
		result["baseline"] = Header.Summary(baseline.Header, baseline.Seal);
		return result;
	}

	private static Dictionary<string, object> Abort(Options options, bool checkMode)
	{
		using (StateDirectory state = HostState.OpenState(options, false))
		{
			bool isChanged = false;
			if (state != null && !checkMode)
			{
				using (state.Lock(options.Baseline + ".lock", options.LockTimeout))
					isChanged = state.Remove(HostState.StagedName(options));
			}
			return new Dictionary<string, object> { { "changed", isChanged } };
		}
	}

	// Whatever state it is in: this is the way out of a damaged or tampered one.
	private static Dictionary<string, object> Remove(Options options, bool checkMode)
	{
		Dictionary<string, object> result = new Dictionary<string, object>();
		result["changed"] = false;
		result["created"] = false;
		result["baseline"] = Header.Summary(null, null);
		result["detections"] = new List<object>();
		result["coverage"] = new List<object>();
		using (StateDirectory state = HostState.OpenState(options, false))
		{
			if (state == null)
				return result;
			if (checkMode)
			{
				result["changed"] = state.Names().Contains(HostState.FileName(options));
				return result;
			}
			using (state.Lock(options.Baseline + ".lock", options.LockTimeout))
			{
				state.Remove(HostState.StagedName(options));
				result["changed"] = state.Remove(HostState.FileName(options));
				return result;
			}
		}
	}

	// A task that only makes sure of the baseline does not fail, so that its finding arrives.
	private static Dictionary<string, object> Refused(Options options, Opened opened)
	{
		string reason = opened.Problem;
		if (opened.Alert != null)
			reason += "; nothing was changed. Find out why, then remove the baseline with state=absent and take a "
				+ "new one";
		Dictionary<string, object> result = new Dictionary<string, object>();
		result["changed"] = false;
		result["created"] = false;
		result["baseline"] = Header.Summary(opened.Header, opened.Seal);
		if (options.Accept.Count > 0)
		{
			result["failed"] = true;
			result["msg"] = reason;
			return result;
		}
		bool hasSeal = opened.Alert != null || options.Unsealed;
		result["detections"] = opened.Detections(options.Expected);
		result["coverage"] = RunCoverage.NothingChecked(options.Watches, opened.Problem, hasSeal);
		result["warnings"] = new List<object> { reason };
		return result;
	}
}
}
