// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using Ansible.Basic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Look
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Module;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.State;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Comparison;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Model;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Header;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Host;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.HostState;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Options;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.RunCoverage;

/// <summary>Compare the host with its baseline: the work of win_file_integrity_info.</summary>
public static class Look
{
	/// <summary>Called by the module.</summary>
	public static void Run(AnsibleModule module)
	{
		using (Host host = Host.Local())
			ModuleRun.Run(module, delegate(ModuleCall call) { return Compared(Options.Parse(call.Params), host); });
	}

	/// <summary>Return the result; what is wrong with the baseline is part of it. Raises UsageException.</summary>
	public static Dictionary<string, object> Compared(Options options, Host host)
	{
		Deadline deadline = new Deadline(options.TimeBudget);
		StateDirectory state;
		Opened opened = HostState.Look(options, out state);
		using (state)
		using (opened)
		{
			if (opened.Baseline == null)
				return Nothing(options, opened);
			Comparison comparison = new Comparison(options, opened, state, host, deadline);
			comparison.Run(null);
			return comparison.Result();
		}
	}

	private static Dictionary<string, object> Nothing(Options options, Opened opened)
	{
		Dictionary<string, object> result = new Dictionary<string, object>();
		result["changed"] = false;
		result["detections"] = opened.Detections(options.Expected);
		result["coverage"] = RunCoverage.NothingChecked(
			options.Watches, opened.Problem ?? "", opened.Alert != null);
		foreach (string name in new[] { "changes", "explained", "claimed" })
		{
			result[name] = new List<object>();
			result[name + "_count"] = 0L;
		}
		result["packages_changed"] = false;
		result["baseline"] = Header.Summary(null, opened.Seal);
		return result;
	}
}
}
