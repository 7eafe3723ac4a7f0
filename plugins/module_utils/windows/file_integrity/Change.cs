// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;

    /// <summary>The kinds that a <see cref="Change"/> can have.</summary>
    public static class ChangeKinds
    {
        public const string Created = "created";
        public const string Deleted = "deleted";
        public const string Modified = "modified";

        /// <summary>Before.Path is the old name.</summary>
        public const string Renamed = "renamed";

        /// <summary>A file became a directory or link, or the other way round.</summary>
        public const string ReplacedType = "replaced_type";

        /// <summary>No change since the baseline: an entry is suspicious by itself, as long as it stays so.</summary>
        public const string Suspicious = "package_mismatch";
    }

    /// <summary>One difference between the baseline and the host.</summary>
    public sealed class Change
    {
        public string Kind;

        /// <summary>The raw path now, or before it was deleted.</summary>
        public string Path;

        /// <summary>The name of the watch.</summary>
        public string Watch;

        /// <summary>Null when created.</summary>
        public Entry Before;

        /// <summary>Null when deleted.</summary>
        public Entry After;

        /// <summary>Names that differ, sorted; empty for created and deleted.</summary>
        public string[] Attributes = new string[0];

        /// <summary>
        /// 32 hexadecimal digits over path, kind and the state after, by which this change is accepted.
        /// </summary>
        public string Id;

        /// <summary>After, or before where it is deleted.</summary>
        public Entry Current
        {
            get { return After ?? Before; }
        }
    }
}
