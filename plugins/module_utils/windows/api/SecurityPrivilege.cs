// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SecurityPrivilege
{
	/// <summary>SeSecurityPrivilege, without which neither audit policy nor SACLs can be read.</summary>
	public static class SecurityPrivilege
	{
		// SE_SECURITY_PRIVILEGE (wdm.h)
		private const uint Number = 8;

		[DllImport("ntdll.dll")]
		private static extern uint RtlAdjustPrivilege(uint privilege, byte enable, byte thread, out byte wasEnabled);

		/// <summary>Enable it for this process; say whether the account holds it.</summary>
		public static bool Enable()
		{
			byte wasEnabled;
			return RtlAdjustPrivilege(Number, 1, 0, out wasEnabled) == 0;
		}
	}
}
