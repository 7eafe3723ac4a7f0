// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Diagnostics;
using System.Globalization;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Deadline
{
    /// <summary>The moment after which a run stops reading.</summary>
    public sealed class Deadline
    {
        private readonly Stopwatch _watch = Stopwatch.StartNew();

        /// <summary>The time budget in seconds, 0 for no limit.</summary>
        public readonly double Seconds;

        public Deadline(double seconds)
        {
            Seconds = seconds;
        }

        public bool Passed
        {
            get { return Seconds > 0 && _watch.Elapsed.TotalSeconds >= Seconds; }
        }

        /// <summary>Seconds since the run began.</summary>
        public double Elapsed
        {
            get { return _watch.Elapsed.TotalSeconds; }
        }

        /// <summary>The sentence for the coverage of what was left out.</summary>
        public string Reason
        {
            get
            {
                string seconds = Seconds.ToString("G6", CultureInfo.InvariantCulture);
                return "the time budget of " + seconds + " s was used up";
            }
        }
    }
}
