// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections.Generic;

namespace ansible_collections.bulwark.servers.plugins.module_utils.windows.contracts.Checkpoint
{
    /// <summary>
    /// What a reader of logs remembers, as Python's <c>_checkpoint</c>: the file is on the host, its name, the token,
    /// is in the controller's store.
    /// </summary>
    public sealed class Checkpoint
    {
        public const string DefaultDirectory = "checkpoints";

        /// <summary>What the reader remembered; empty where nothing was read before.</summary>
        public readonly Dictionary<string, object> State = new Dictionary<string, object>();

        /// <summary>A sentence when the state is not what the controller confirmed, else null.</summary>
        public readonly string Problem;

        private Checkpoint(string problem)
        {
            Problem = problem;
        }

        /// <summary>
        /// Return what the reader <paramref name="name"/> remembered when the controller's store got the token. root:
        /// the state directory, null for the default. token: null or empty when the store has none. advance: whether
        /// Save keeps anything. StateException where the directory cannot be used, HostException for a token that is
        /// none.
        /// </summary>
        public static Checkpoint Load(
            string root, string name, string token, bool advance, string directory = DefaultDirectory)
        {
            throw new NotSupportedException(root + name + token + advance + directory);
        }

        /// <summary>Say whether there is something to go on from.</summary>
        public bool Known
        {
            get { return Problem == null; }
        }

        /// <summary>
        /// Keep what the next run goes on from, durably; return the <c>checkpoint</c> of the module's result, null
        /// where nothing is to be kept. StateException; everything is as before then.
        /// </summary>
        public Dictionary<string, object> Save(Dictionary<string, object> state)
        {
            throw new NotSupportedException(state.ToString());
        }
    }
}
