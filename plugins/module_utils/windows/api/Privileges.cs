// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Security.Principal;
using System.Text;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Privileges
{
	/// <summary>What the account of this process may do.</summary>
	public interface IPrivileges
	{
		/// <summary>Whether its token has the group Administrators enabled; UAC leaves it for denials only.</summary>
		bool IsAdministrator();

		/// <summary>Names of the privileges in its token, enabled or not, as SeBackupPrivilege.</summary>
		IList<string> Names();
	}

	/// <summary>The token of this process; Win32Exception where it cannot be read.</summary>
	public sealed class Privileges : IPrivileges
	{
		private const int TokenQuery = 0x0008;
		private const int TokenPrivileges = 3;
		private const int TokenStatistics = 10;
		private const int LuidAndAttributesSize = 12;
		private const int LongestName = 256;
		private const int LargestSize = 4096;

		public bool IsAdministrator()
		{
			using (WindowsIdentity identity = WindowsIdentity.GetCurrent())
				return new WindowsPrincipal(identity).IsInRole(WindowsBuiltInRole.Administrator);
		}

		public IList<string> Names()
		{
			return Read(TokenPrivileges, (buffer, size) =>
			{
				// TOKEN_PRIVILEGES: the count, then LUID_AND_ATTRIBUTES each.
				int count = Math.Min(Marshal.ReadInt32(buffer), (size - 4) / LuidAndAttributesSize);
				List<string> names = new List<string>();
				for (int index = 0; index < count; index++)
				{
					long identifier = Marshal.ReadInt64(buffer, 4 + index * LuidAndAttributesSize);
					StringBuilder name = new StringBuilder(LongestName);
					int length = name.Capacity;
					if (LookupPrivilegeName(null, ref identifier, name, ref length))
						names.Add(name.ToString());
				}
				names.Sort(StringComparer.Ordinal);
				return names;
			});
		}

		/// <summary>The id of its logon session as events have it, as in 0x3e7.</summary>
		public string LogonSession()
		{
			// The second LUID of TOKEN_STATISTICS.
			return Read(TokenStatistics, (buffer, size) => "0x" + Marshal.ReadInt64(buffer, 8).ToString("x"));
		}

		private static T Read<T>(int informationClass, Func<IntPtr, int, T> read)
		{
			IntPtr token;
			if (!OpenProcessToken(GetCurrentProcess(), TokenQuery, out token))
				throw new Win32Exception();
			IntPtr buffer = Marshal.AllocHGlobal(LargestSize);
			try
			{
				int size;
				if (!GetTokenInformation(token, informationClass, buffer, LargestSize, out size))
					throw new Win32Exception();
				return read(buffer, size);
			}
			finally
			{
				Marshal.FreeHGlobal(buffer);
				CloseHandle(token);
			}
		}

		[DllImport("kernel32.dll")]
		private static extern IntPtr GetCurrentProcess();

		[DllImport("kernel32.dll")]
		private static extern bool CloseHandle(IntPtr handle);

		// https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openprocesstoken
		[DllImport("advapi32.dll", SetLastError = true)]
		private static extern bool OpenProcessToken(IntPtr process, int access, out IntPtr token);

		// https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-gettokeninformation
		[DllImport("advapi32.dll", SetLastError = true)]
		private static extern bool GetTokenInformation(
			IntPtr token, int informationClass, IntPtr information, int length, out int needed);

		// https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-lookupprivilegenamew
		[DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true, EntryPoint = "LookupPrivilegeNameW")]
		private static extern bool LookupPrivilegeName(
			string system, ref long identifier, StringBuilder name, ref int length);
	}
}
