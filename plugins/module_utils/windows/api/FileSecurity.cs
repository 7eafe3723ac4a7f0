// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity
{
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;

	/// <summary>Owners and access lists of open files.</summary>
	public interface IFileSecurity
	{
		/// <summary>Return owner and DACL as a self-relative security descriptor; returns 0 or a Win32 error.</summary>
		int Read(IOpenFile file, out byte[] descriptor);
	}

	/// <summary>Owners and access lists through GetKernelObjectSecurity.</summary>
	public sealed class NativeFileSecurity : IFileSecurity
	{
		// OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION.
		private const int OwnerAndDacl = 1 | 4;
		private const int InsufficientBuffer = 122;

		private byte[] _buffer = new byte[1024];

		[DllImport("advapi32.dll", SetLastError = true)]
		private static extern bool GetKernelObjectSecurity(
			SafeFileHandle handle, int wanted, byte[] descriptor, int length, out int needed);

		public int Read(IOpenFile file, out byte[] descriptor)
		{
			descriptor = null;
			int needed;
			bool read = GetKernelObjectSecurity(file.Handle, OwnerAndDacl, _buffer, _buffer.Length, out needed);
			if (!read)
			{
				int error = Marshal.GetLastWin32Error();
				// A DACL has at most 64 KiB.
				if (error != InsufficientBuffer || needed > 256 * 1024)
				{
					return error;
				}
				_buffer = new byte[needed];
				if (!GetKernelObjectSecurity(file.Handle, OwnerAndDacl, _buffer, _buffer.Length, out needed))
				{
					return Marshal.GetLastWin32Error();
				}
			}
			descriptor = new byte[needed];
			Buffer.BlockCopy(_buffer, 0, descriptor, 0, descriptor.Length);
			return 0;
		}
	}
}
