#!powershell
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Apply

$spec = @{
    options = @{
        state = @{ type = 'str'; choices = @('present', 'absent'); default = 'present' }
        groups = @{ type = 'list'; elements = 'str' }
        extra_groups = @{ type = 'list'; elements = 'str'; default = @() }
        disabled_groups = @{ type = 'list'; elements = 'str'; default = @() }
        subcategories = @{
            type = 'list'; elements = 'dict'; default = @(); options = @{
                name = @{ type = 'str'; required = $true }
                success = @{ type = 'bool'; default = $true }
                failure = @{ type = 'bool'; default = $false }
            }
        }
        channels = @{
            type = 'list'; elements = 'dict'; default = @(); options = @{
                name = @{ type = 'str'; required = $true }
                max_size = @{ type = 'int'; default = 0 }
                enabled = @{ type = 'bool'; default = $true }
            }
        }
        paths = @{ type = 'list'; elements = 'str'; default = @() }
        state_dir = @{ type = 'path' }; lock_timeout = @{ type = 'int'; default = 60 }
        _groups = @{ type = 'list'; elements = 'dict' }
    }
    supports_check_mode = $true; no_log = $true
}
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Apply.Apply]::Run($module)
$module.ExitJson()
