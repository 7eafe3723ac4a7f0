// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.IHost
{
    /// <summary>
    /// What limits a module on this host. <c>windows/api/System.cs</c> implements it; tests give recorded values.
    /// </summary>
    public interface IHost
    {
        /// <summary>True on 64-bit Windows, whatever the process is (IsWow64Process2).</summary>
        bool Is64BitWindows { get; }

        /// <summary>True in a 64-bit process.</summary>
        bool Is64BitProcess { get; }

        /// <summary>"workstation", "domain_controller" or "server" (OSVERSIONINFOEX.wProductType).</summary>
        string ProductType { get; }

        /// <summary>True inside a Windows container (HKLM\SYSTEM\CurrentControlSet\Control, ContainerType).</summary>
        bool IsContainer { get; }

        /// <summary>True when the token is SYSTEM's or has the Administrators group enabled.</summary>
        bool IsAdministrator { get; }

        /// <summary>
        /// Enable a privilege of this process, as SeBackupPrivilege; false when the token does not have it.
        /// </summary>
        bool EnablePrivilege(string name);
    }
}
