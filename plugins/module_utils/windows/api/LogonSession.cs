// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.LogonSession
{
	/// <summary>The logon session of this process.</summary>
	public static class LogonSession
	{
		// TOKEN_INFORMATION_CLASS, and TOKEN_STATISTICS, whose second member is the session's LUID (winnt.h).
		private const int TokenStatistics = 10;
		private const int StatisticsSize = 56;
		private const int AuthenticationId = 8;
		private const int TokenQuery = 8;

		/// <summary>Return its id as events have it, as in 0x3e7; null where Windows does not say it.</summary>
		public static string Id()
		{
			IntPtr token;
			if (!OpenProcessToken(GetCurrentProcess(), TokenQuery, out token))
				return null;
			IntPtr buffer = Marshal.AllocHGlobal(StatisticsSize);
			try
			{
				int size;
				if (!GetTokenInformation(token, TokenStatistics, buffer, StatisticsSize, out size))
					return null;
				return "0x" + Marshal.ReadInt64(buffer, AuthenticationId).ToString("x");
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
	}
}
