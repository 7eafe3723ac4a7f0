// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Judgement
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Change;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Entry;
using ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Watch;

    /// <summary>What a change or a first look means: an alert to raise, or what explains the change.</summary>
    public sealed class Judgement
    {
        /// <summary>An id of the catalogue; null for an explanation.</summary>
        public string Alert;

        /// <summary>informational, low, medium, high or critical.</summary>
        public string Severity;

        /// <summary>One sentence that names the entry; for an explanation "explained by WHAT".</summary>
        public string Message;

        /// <summary>ATT&amp;CK ids; those of the watch are added.</summary>
        public IList<string> Techniques = new List<string>();

        /// <summary>Added to the evidence's data: JSON values by name. Null for none.</summary>
        public Dictionary<string, object> Evidence;

        /// <summary>What explains the change: a publisher or an update (KB5034123). Null for an alert.</summary>
        public string Package;

        /// <summary>The version or build of it; null when there is none.</summary>
        public string Version;

        /// <summary>Only the host's own records explain it: it is counted in a finding about its package.</summary>
        public bool Claimed;

        /// <summary>A part of the key or directory it is in: counted with that where all of it came or went.</summary>
        public bool IsPart;

        public static Judgement Raise(string alert, string severity, string message, params string[] techniques)
        {
            return new Judgement { Alert = alert, Severity = severity, Message = message, Techniques = techniques };
        }

        public static Judgement Explain(string package, string version, string message)
        {
            return new Judgement { Package = package, Version = version, Message = message };
        }

        public bool Explained
        {
            get { return Alert == null && !Claimed; }
        }
    }

    /// <summary>
    /// Says what a change means. The judges are asked in order; the first that does not return null decides, and the
    /// watch's own or the generic alert is raised when none does.
    /// </summary>
    public interface IJudge
    {
        /// <summary>Judge a change; null where this judge knows nothing of it.</summary>
        Judgement JudgeChange(Change change, Watch watch);

        /// <summary>
        /// Judge an entry that is not changed: asked when it is recorded for the first time, and again by each
        /// comparison until it is accepted. Null where it is unsuspicious.
        /// </summary>
        Judgement JudgeEntry(Entry entry, Watch watch);
    }
}
