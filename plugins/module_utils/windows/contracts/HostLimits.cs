// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.HostLimits
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.IHost;

    /// <summary>Says in the coverage what the host or the account keeps a module from seeing.</summary>
    public static class HostLimits
    {
        public const string BackupPrivilege = "SeBackupPrivilege";
        public const string DebugPrivilege = "SeDebugPrivilege";
        public const string SecurityPrivilege = "SeSecurityPrivilege";

        /// <summary>The coverage scope of these limits.</summary>
        public const string Scope = "host";

        /// <summary>
        /// Enable privileges and return the coverage entry of what is missing; null when nothing is. Each privilege
        /// comes with what cannot be read without it: "files that only their owners may read".
        /// </summary>
        public static Dictionary<string, object> Check(IHost host, IEnumerable<KeyValuePair<string, string>> privileges)
        {
            ScopeCoverage coverage = new ScopeCoverage(Scope);
            Note(coverage, host, privileges);
            coverage.Examined = 1;
            return coverage.SkippedCount > 0 ? coverage.Entry() : null;
        }

        /// <summary>Enable privileges, and note as skipped what is missing.</summary>
        public static void Note(
            ScopeCoverage coverage, IHost host, IEnumerable<KeyValuePair<string, string>> privileges)
        {
            if (!host.IsAdministrator)
                coverage.Skip(
                    "administrator", "the account is no administrator, or its token is filtered; connect as one");
            foreach (KeyValuePair<string, string> privilege in privileges)
            {
                if (!host.EnablePrivilege(privilege.Key))
                    coverage.Skip(
                        privilege.Key,
                        "the account does not have this privilege, so it cannot read " + privilege.Value);
            }
            if (host.Is64BitWindows && !host.Is64BitProcess)
                coverage.Skip(
                    "64-bit Windows",
                    "PowerShell runs as a 32-bit process, which is shown other files and registry keys; "
                    + "connect to the 64-bit one");
            if (host.ProductType == "domain_controller")
                coverage.Skip(
                    "domain controller", "its accounts and groups are those of the domain, which are not looked at");
            if (host.IsContainer)
                coverage.Skip(
                    "container", "this is a Windows container, so its host and other containers are not looked at");
        }
    }
}
