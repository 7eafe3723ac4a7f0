// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.AuditPolicy
{
	/// <summary>
	/// The audit policy of a host, by subcategory. Flags are POLICY_AUDIT_EVENT_* (ntsecapi.h): 1 success, 2 failure, 4
	/// none. Methods return 0 or a Win32 error.
	/// </summary>
	public interface IAuditPolicy
	{
		/// <summary>Return the flags of a subcategory.</summary>
		int Query(Guid subcategory, out int flags);

		/// <summary>Add flags to those of a subcategory; with none, they replace them.</summary>
		int Set(Guid subcategory, int flags);

		/// <summary>Return all subcategories that this Windows has.</summary>
		int List(out IList<Guid> subcategories);
	}

	/// <summary>The audit policy of this host. SeSecurityPrivilege has to be enabled.</summary>
	public sealed class NativeAuditPolicy : IAuditPolicy
	{
		private const int NotImplemented = 120;
		private const int GuidSize = 16;

		/// <summary>AUDIT_POLICY_INFORMATION</summary>
		[StructLayout(LayoutKind.Sequential)]
		internal struct PolicyInformation
		{
			internal Guid Subcategory;
			internal uint Flags;
			internal Guid Category;
		}

		// https://learn.microsoft.com/windows/win32/api/ntsecapi/nf-ntsecapi-auditquerysystempolicy
		[DllImport("advapi32.dll", SetLastError = true)]
		[return: MarshalAs(UnmanagedType.U1)]
		private static extern bool AuditQuerySystemPolicy(ref Guid subcategories, uint count, out IntPtr policy);

		// https://learn.microsoft.com/windows/win32/api/ntsecapi/nf-ntsecapi-auditsetsystempolicy
		[DllImport("advapi32.dll", SetLastError = true)]
		[return: MarshalAs(UnmanagedType.U1)]
		private static extern bool AuditSetSystemPolicy(ref PolicyInformation policy, uint count);

		// https://learn.microsoft.com/windows/win32/api/ntsecapi/nf-ntsecapi-auditenumeratesubcategories
		[DllImport("advapi32.dll", SetLastError = true)]
		[return: MarshalAs(UnmanagedType.U1)]
		private static extern bool AuditEnumerateSubCategories(
			IntPtr category, [MarshalAs(UnmanagedType.U1)] bool all, out IntPtr subcategories, out uint count);

		[DllImport("advapi32.dll")]
		private static extern void AuditFree(IntPtr buffer);

		public int Query(Guid subcategory, out int flags)
		{
			PolicyInformation policy;
			int error = Read(subcategory, out policy);
			flags = (int)policy.Flags;
			return error;
		}

		public int Set(Guid subcategory, int flags)
		{
			// With the category that Windows says.
			PolicyInformation policy;
			int error = Read(subcategory, out policy);
			if (error != 0)
				return error;
			policy.Flags = (uint)flags;
			return AuditSetSystemPolicy(ref policy, 1) ? 0 : LastError();
		}

		private static int Read(Guid subcategory, out PolicyInformation policy)
		{
			policy = new PolicyInformation();
			IntPtr buffer = IntPtr.Zero;
			try
			{
				if (!AuditQuerySystemPolicy(ref subcategory, 1, out buffer) || buffer == IntPtr.Zero)
					return LastError();
				policy = (PolicyInformation)Marshal.PtrToStructure(buffer, typeof(PolicyInformation));
				return 0;
			}
			catch (EntryPointNotFoundException)
			{
				return NotImplemented;
			}
			finally
			{
				Free(buffer);
			}
		}

		public int List(out IList<Guid> subcategories)
		{
			subcategories = new List<Guid>();
			IntPtr buffer = IntPtr.Zero;
			try
			{
				uint count;
				if (!AuditEnumerateSubCategories(IntPtr.Zero, true, out buffer, out count) || buffer == IntPtr.Zero)
					return LastError();
				byte[] bytes = new byte[GuidSize];
				for (int index = 0; index < count; index++)
				{
					Marshal.Copy(new IntPtr(buffer.ToInt64() + index * GuidSize), bytes, 0, GuidSize);
					subcategories.Add(new Guid(bytes));
				}
				return 0;
			}
			catch (EntryPointNotFoundException)
			{
				return NotImplemented;
			}
			finally
			{
				Free(buffer);
			}
		}

		private static void Free(IntPtr buffer)
		{
			if (buffer != IntPtr.Zero)
				AuditFree(buffer);
		}

		// A stub fails without an error.
		private static int LastError()
		{
			int error = Marshal.GetLastWin32Error();
			return error == 0 ? NotImplemented : error;
		}
	}
}
