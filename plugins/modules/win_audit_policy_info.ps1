#!powershell
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Look

$spec = @{
    options = @{
        channels = @{ type = 'list'; elements = 'str'; default = @() }
        paths = @{ type = 'list'; elements = 'str'; default = @() }
        default_lists = @{ type = 'bool'; default = $true }
    }
    supports_check_mode = $true; no_log = $true
}
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[ansible_collections.bulwark.servers.plugins.module_utils.windows.audit_policy.Look.Look]::Run($module)
$module.ExitJson()
