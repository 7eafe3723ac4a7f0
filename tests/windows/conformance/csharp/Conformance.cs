// Copyright: bulwark.servers contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

using System.Collections.Generic;
using System.IO;
using Ansible.Basic;

namespace ansible_collections.bulwark.conformance.plugins.module_utils.Conformance
{
// Inside the namespace: above it, the short name is the neighbouring namespace, not its class.
using ansible_collections.bulwark.conformance.plugins.module_utils.EventChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.Evidence;
using ansible_collections.bulwark.conformance.plugins.module_utils.FileChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.HostChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.PolicyChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.SimulationChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.RegistryChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.SignatureChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.StateChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.WmiChecks;
using ansible_collections.bulwark.conformance.plugins.module_utils.Workspace;

    /// <summary>The module win_conformance: one phase of a run of the conformance kit.</summary>
    public static class Conformance
    {
        public static void Run(AnsibleModule module)
        {
            Workspace workspace = new Workspace((string)module.Params["id"]);
            switch ((string)module.Params["phase"])
            {
                case "prepare":
                    workspace.Create();
                    module.Result["directory"] = workspace.Root;
                    module.Result["key"] = @"HKLM\" + workspace.Key;
                    module.Result["build"] = HostChecks.Build();
                    module.Result["is_wine"] = HostChecks.IsWine();
                    break;
                case "change":
                    workspace.Change();
                    break;
                case "grow":
                    workspace.Grow();
                    break;
                case "check":
                    module.Result["checks"] = Checked(workspace);
                    break;
                case "look":
                    module.Result["baseline_exists"] = File.Exists(
                        workspace.Root + @"\state\file_integrity\default.baseline");
                    break;
                case "remove":
                    module.Result["left"] = workspace.Remove();
                    break;
            }
            module.Result["changed"] = true;
        }

        private static List<object> Checked(Workspace workspace)
        {
            List<object> results = new List<object>();
            foreach (Check[] checks in new[]
            {
                FileChecks.All(), RegistryChecks.All(), SignatureChecks.All(), StateChecks.All(), WmiChecks.All(),
                HostChecks.All(), PolicyChecks.All(), EventChecks.All(),
                SimulationChecks.All()
            })
            {
                foreach (Check check in checks)
                    results.Add(check.Result(workspace));
            }
            return results;
        }
    }
}
