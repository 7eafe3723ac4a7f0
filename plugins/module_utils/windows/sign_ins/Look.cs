// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using Ansible.Basic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Look
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.BackgroundMode;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.EventLog;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.StateFiles;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Module;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Collect;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Host;

/// <summary>Look at who signed in to a host: the work of win_sign_in_info.</summary>
public static class Look
{
	/// <summary>Called by the module.</summary>
	public static void Run(AnsibleModule module)
	{
		ModuleRun.Run(module, delegate(ModuleCall call)
		{
			using (call.Text("priority") == "idle" ? new BackgroundMode() : null)
				return new Collect(call, new NativeEventLog(), new NativeStateFiles(), Host.Read).Run();
		});
	}
}
}
