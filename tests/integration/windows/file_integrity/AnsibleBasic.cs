// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System;
using System.Collections;
using System.Collections.Generic;

namespace Ansible.Basic
{
    /// <summary>What the code of modules names of ansible-core's class, for programs that call it without.</summary>
    public class AnsibleModule
    {
        public Dictionary<string, object> Result = new Dictionary<string, object>();
        public Dictionary<string, object> Diff = new Dictionary<string, object>();
        public IDictionary Params = new Dictionary<string, object>();
        public bool CheckMode = false;
        public bool DiffMode = false;
        public int Verbosity = 0;

        public void FailJson(string message, Exception exception = null)
        {
            throw new NotSupportedException(message, exception);
        }
    }
}
