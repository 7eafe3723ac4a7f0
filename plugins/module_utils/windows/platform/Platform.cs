// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using Ansible.Basic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.platform.Platform
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Machine;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PowerShellHost;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Privileges;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Module;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Outcome;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.platform.PlatformFacts;

	/// <summary>The module win_platform_facts.</summary>
	public static class Platform
	{
		public static void Run(AnsibleModule module)
		{
			ModuleRun.Run(module, Gather);
		}

		private static Dictionary<string, object> Gather(ModuleCall call)
		{
			PlatformFacts facts = new PlatformFacts(new Machine(), new Privileges(), new PowerShellHost());
			return new Dictionary<string, object>
			{
				{ "changed", false }, { "ansible_facts", facts.Facts() }, { "windows", facts.Windows() }
			};
		}
	}
}
