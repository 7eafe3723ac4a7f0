// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.SystemAudit
{
	/// <summary>What access to a file or key is recorded: its SACL. Methods return 0 or a Win32 error.</summary>
	public interface ISystemAudit
	{
		/// <summary>
		/// Return the SACL of a file, a directory or, if <paramref name="isKey"/>, a key below HKEY_LOCAL_MACHINE, as
		/// an ACL ([MS-DTYP] 2.4.5); null without one.
		/// </summary>
		int Read(bool isKey, string path, out byte[] acl);

		/// <summary>Replace the SACL, and what is inherited from it; null removes it.</summary>
		int Write(bool isKey, string path, byte[] acl);
	}

	/// <summary>The SACLs of this host, for a process of its width. SeSecurityPrivilege has to be enabled.</summary>
	public sealed class NativeSystemAudit : ISystemAudit
	{
		private const int SaclInformation = 8;

		// SE_OBJECT_TYPE (accctrl.h)
		private const int FileObject = 1;
		private const int RegistryKey = 4;

		// AclSize in ACL
		private const int AclSizeOffset = 2;

		// https://learn.microsoft.com/windows/win32/api/aclapi/nf-aclapi-getnamedsecurityinfow
		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int GetNamedSecurityInfoW(
			string name, int type, int parts, IntPtr owner, IntPtr group, IntPtr dacl, out IntPtr sacl,
			out IntPtr descriptor);

		// https://learn.microsoft.com/windows/win32/api/aclapi/nf-aclapi-setnamedsecurityinfow
		[DllImport("advapi32.dll", CharSet = CharSet.Unicode)]
		private static extern int SetNamedSecurityInfoW(
			string name, int type, int parts, IntPtr owner, IntPtr group, IntPtr dacl, byte[] sacl);

		[DllImport("kernel32.dll")]
		private static extern IntPtr LocalFree(IntPtr memory);

		public int Read(bool isKey, string path, out byte[] acl)
		{
			acl = null;
			IntPtr sacl;
			IntPtr descriptor;
			int error = GetNamedSecurityInfoW(
				Name(isKey, path), Type(isKey), SaclInformation, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, out sacl,
				out descriptor);
			if (error != 0)
				return error;
			if (sacl != IntPtr.Zero)
			{
				acl = new byte[(ushort)Marshal.ReadInt16(sacl, AclSizeOffset)];
				Marshal.Copy(sacl, acl, 0, acl.Length);
			}
			LocalFree(descriptor);
			return 0;
		}

		public int Write(bool isKey, string path, byte[] acl)
		{
			return SetNamedSecurityInfoW(
				Name(isKey, path), Type(isKey), SaclInformation, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, acl);
		}

		private static string Name(bool isKey, string path)
		{
			return isKey ? @"MACHINE\" + path : path;
		}

		private static int Type(bool isKey)
		{
			return isKey ? RegistryKey : FileObject;
		}
	}
}
