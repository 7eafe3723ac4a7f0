#!powershell
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Look

$spec = @{
    options = @{
        baseline = @{ type = 'str'; default = 'default' }; state_dir = @{ type = 'path' }; store = @{ type = 'str' }
        watches = @{
            type = 'list'; elements = 'dict'; options = @{
                name = @{ type = 'str'; required = $true }
                paths = @{ type = 'list'; elements = 'str'; default = @() }
                registry = @{ type = 'list'; elements = 'str'; default = @() }
                wmi = @{ type = 'list'; elements = 'str'; default = @() }
                exclude = @{ type = 'list'; elements = 'str'; default = @() }
                include = @{ type = 'list'; elements = 'str'; default = @() }
                recurse = @{ type = 'int'; default = -1 }
                attributes = @{ type = 'list'; elements = 'str' }; category = @{ type = 'str'; default = 'other' }
                alert = @{ type = 'raw' }; techniques = @{ type = 'raw' }
            }
        }
        disabled_watches = @{ type = 'list'; elements = 'str'; default = @() }
        max_changes = @{ type = 'int'; default = 1000 }
        time_budget = @{ type = 'int'; default = 0 }
        default_watches = @{ type = 'bool'; default = $false }
        _default_names = @{ type = 'list'; elements = 'str' }; _microsoft_roots = @{ type = 'list'; elements = 'str' }
        _expected_digests = @{ type = 'list'; elements = 'str' }
    }
    supports_check_mode = $true; no_log = $true
}
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Look.Look]::Run($module)
$module.ExitJson()
