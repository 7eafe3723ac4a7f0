// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Runtime.InteropServices;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PathSecurity
{
    /// <summary>Owners and access lists of files and directories by their path.</summary>
    public interface IPathSecurity
    {
        /// <summary>
        /// Return owner and DACL as a self-relative security descriptor. Returns 0 or a Win32 error: 2 and 3 mean that
        /// there is no such file.
        /// </summary>
        uint Read(string path, out byte[] descriptor);
    }

    /// <summary>GetNamedSecurityInfo of advapi32.dll.</summary>
    public sealed class NativePathSecurity : IPathSecurity
    {
        // SE_FILE_OBJECT; OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION.
        private const int FileObject = 1;
        private const int OwnerAndDacl = 1 | 4;

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, ExactSpelling = true)]
        private static extern uint GetNamedSecurityInfoW(
            string name, int type, int parts, IntPtr owner, IntPtr group, IntPtr dacl, IntPtr sacl,
            out IntPtr descriptor);

        [DllImport("advapi32.dll")]
        private static extern int GetSecurityDescriptorLength(IntPtr descriptor);

        [DllImport("kernel32.dll")]
        private static extern IntPtr LocalFree(IntPtr memory);

        public uint Read(string path, out byte[] descriptor)
        {
            descriptor = null;
            IntPtr memory;
            uint error = GetNamedSecurityInfoW(
                path, FileObject, OwnerAndDacl, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero, out memory);
            if (error != 0)
            {
                return error;
            }
            try
            {
                descriptor = new byte[GetSecurityDescriptorLength(memory)];
                Marshal.Copy(memory, descriptor, 0, descriptor.Length);
                return 0;
            }
            finally
            {
                LocalFree(memory);
            }
        }
    }
}
