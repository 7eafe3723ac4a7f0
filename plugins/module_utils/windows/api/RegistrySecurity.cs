// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.RegistrySecurity
{
	/// <summary>Reads the security descriptor of an open registry key (NtQuerySecurityObject).</summary>
	public static class NativeKeySecurity
	{
		// OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION. The SACL would need
		// SeSecurityPrivilege.
		private const int Parts = 1 | 2 | 4;

		private const uint BufferTooSmall = 0xC0000023;

		[DllImport("ntdll.dll")]
		private static extern uint NtQuerySecurityObject(
			IntPtr handle, int parts, byte[] descriptor, int length, out int needed);

		/// <summary>
		/// Read owner, group and DACL of a key opened with READ_CONTROL as a self-relative descriptor.
		/// Returns an NTSTATUS; the descriptor is null unless it is 0.
		/// </summary>
		public static uint Read(IntPtr key, ref byte[] buffer, out byte[] descriptor)
		{
			descriptor = null;
			int needed;
			uint status = NtQuerySecurityObject(key, Parts, buffer, buffer.Length, out needed);
			if (status == BufferTooSmall && needed > buffer.Length)
			{
				buffer = new byte[needed];
				status = NtQuerySecurityObject(key, Parts, buffer, buffer.Length, out needed);
			}
			if (status != 0)
			{
				return status;
			}
			descriptor = new byte[Math.Min(needed, buffer.Length)];
			Buffer.BlockCopy(buffer, 0, descriptor, 0, descriptor.Length);
			return status;
		}
	}
}
