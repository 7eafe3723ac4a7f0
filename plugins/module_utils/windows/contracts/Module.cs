// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using Ansible.Basic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Module
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;

	/// <summary>How every module's <c>Run</c> calls its action and leaves its result with Ansible.</summary>
	public static class ModuleRun
	{
		// The number of -v that calls are shown with.
		private const int TraceVerbosity = 3;

		/// <summary>
		/// Call an action with the module's options and set the module's result. A failure ends the module here; after
		/// success the module itself calls ExitJson.
		/// </summary>
		public static void Run(AnsibleModule module, Func<ModuleCall, Dictionary<string, object>> action)
		{
			ModuleCall call = new ModuleCall(module.Params, module.CheckMode, module.DiffMode);
			Exception unexpected;
			Dictionary<string, object> result = Outcome.Of(call, action, out unexpected);
			object diff;
			if (result.TryGetValue("diff", out diff))
			{
				result.Remove("diff");
				foreach (KeyValuePair<string, object> part in (Dictionary<string, object>)diff)
					module.Diff[part.Key] = part.Value;
			}
			foreach (KeyValuePair<string, object> member in result)
				module.Result[member.Key] = member.Value;
			if (!Outcome.IsFailed(result))
				return;
			if (unexpected != null && module.Verbosity >= TraceVerbosity)
				module.Result["exception"] = Outcome.Trace(unexpected);
			// Ends the process or throws PowerShell's own exception: nothing may catch it here.
			module.FailJson((string)result["msg"]);
		}
	}
}
