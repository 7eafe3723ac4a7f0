#!powershell
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Apply

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
        max_changes = @{ type = 'int'; default = 1000 }; time_budget = @{ type = 'int'; default = 0 }
        state = @{ type = 'str'; choices = @('present', 'absent'); default = 'present' }
        accept = @{ type = 'list'; elements = 'str' }; reason = @{ type = 'str' }; accepted_by = @{ type = 'str' }
        default_watches = @{ type = 'bool'; default = $true }; lock_timeout = @{ type = 'int'; default = 60 }
        _default_names = @{ type = 'list'; elements = 'str' }; _microsoft_roots = @{ type = 'list'; elements = 'str' }
        _expected_digests = @{ type = 'list'; elements = 'str' }
        _phase = @{ type = 'str'; choices = @('stage', 'commit', 'abort') }
        _digest = @{ type = 'str' }; _compare = @{ type = 'bool'; default = $false }
    }
    required_by = @{ accept = @('reason', 'accepted_by') }
    supports_check_mode = $true; no_log = $true
}
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[ansible_collections.bulwark.servers.plugins.module_utils.windows.file_integrity.Apply.Apply]::Run($module)
$module.ExitJson()
