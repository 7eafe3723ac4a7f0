// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.api.PathSecurity
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.Files;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.api.FileSecurity;

    /// <summary>Owners and access lists of files and directories by their path.</summary>
    public interface IPathSecurity
    {
        /// <summary>
        /// Return owner and DACL as a self-relative security descriptor. Returns 0 or a Win32 error: 2 and 3 mean that
        /// there is no such file.
        /// </summary>
        uint Read(string path, out byte[] descriptor);
    }

    /// <summary>By an open file: GetNamedSecurityInfo waits for whoever holds an oplock.</summary>
    public sealed class NativePathSecurity : IPathSecurity
    {
        private readonly NativeFileSecurity _security = new NativeFileSecurity();

        public uint Read(string path, out byte[] descriptor)
        {
            descriptor = null;
            IOpenFile file;
            int error = NativeFiles.Follow(path, out file);
            using (file)
            {
                return (uint)(error == 0 ? _security.Read(file, out descriptor) : error);
            }
        }
    }
}
