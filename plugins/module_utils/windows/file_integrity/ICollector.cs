// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.ICollector
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Coverage;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Deadline;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>Reads the entries of a watch from the host.</summary>
    public interface ICollector
    {
        /// <summary>
        /// Emit every entry of the watch once. An entry or attribute that cannot be read is a skip in the coverage;
        /// after the deadline the rest is left out with its reason. Does not raise because of what the host has.
        /// </summary>
        void Collect(Watch watch, ScopeCoverage coverage, Deadline deadline, Action<Entry> emit);
    }
}
