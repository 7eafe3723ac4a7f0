// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using Ansible.Basic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Look
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.PolicyHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Recording;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Module;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;

	/// <summary>The module win_audit_policy_info.</summary>
	public static class Look
	{
		/// <summary>Called by the module.</summary>
		public static void Run(AnsibleModule module)
		{
			ModuleRun.Run(module, delegate(ModuleCall call) { return Recording.Of(call, PolicyHost.Local()); });
		}
	}
}
