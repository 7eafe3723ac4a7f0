#!powershell
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Apply

$spec = @{
    options = @{
        alerts = @{ type = 'list'; elements = 'str' }
        confirm = @{ type = 'bool'; default = $false }
        state_dir = @{ type = 'path' }; lock_timeout = @{ type = 'int'; default = 60 }
        store = @{ type = 'str' }
        _simulations = @{ type = 'list'; elements = 'dict' }
    }
    supports_check_mode = $true; no_log = $true
}
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[ansible_collections.bulwark.servers.plugins.module_utils.windows.simulation.Apply.Apply]::Run($module)
$module.ExitJson()
