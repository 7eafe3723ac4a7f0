// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Services
{
	/// <summary>The services of a host.</summary>
	public interface IServices
	{
		/// <summary>
		/// Return the state of a service (SERVICE_RUNNING is 4); returns 0 or a Win32 error, 1060 without the service.
		/// </summary>
		int State(string name, out int state);
	}

	/// <summary>The services of this host.</summary>
	public sealed class NativeServices : IServices
	{
		private const int Connect = 1;
		private const int QueryStatus = 4;

		/// <summary>SERVICE_STATUS</summary>
		[StructLayout(LayoutKind.Sequential)]
		internal struct ServiceStatus
		{
			internal uint Type;
			internal uint State;
			internal uint Accepted;
			internal uint ExitCode;
			internal uint SpecificExitCode;
			internal uint CheckPoint;
			internal uint WaitHint;
		}

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr OpenSCManagerW(string machine, string database, int access);

		[DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
		private static extern IntPtr OpenServiceW(IntPtr manager, string name, int access);

		// https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-queryservicestatus
		[DllImport("advapi32.dll", SetLastError = true)]
		private static extern bool QueryServiceStatus(IntPtr service, out ServiceStatus status);

		[DllImport("advapi32.dll")]
		private static extern bool CloseServiceHandle(IntPtr handle);

		public int State(string name, out int state)
		{
			state = 0;
			IntPtr manager = OpenSCManagerW(null, null, Connect);
			if (manager == IntPtr.Zero)
				return Marshal.GetLastWin32Error();
			IntPtr service = OpenServiceW(manager, name, QueryStatus);
			int error = service == IntPtr.Zero ? Marshal.GetLastWin32Error() : 0;
			CloseServiceHandle(manager);
			if (error != 0)
				return error;
			ServiceStatus status;
			error = QueryServiceStatus(service, out status) ? 0 : Marshal.GetLastWin32Error();
			CloseServiceHandle(service);
			state = (int)status.State;
			return error;
		}
	}
}
