#!powershell
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Look

$spec = @{
    options = @{
        paths = @{ type = 'list'; elements = 'path' }
        first_days = @{ type = 'int'; default = 30 }
        since = @{ type = 'float' }
        max_findings = @{ type = 'int'; default = 1000 }
        rule_paths = @{ type = 'list'; elements = 'path' }
        threat_lists = @{ type = 'list'; elements = 'dict' }
        own_rules = @{ type = 'bool'; default = $true }
        time_budget = @{ type = 'int'; default = 0 }
        priority = @{ type = 'str'; choices = @('idle', 'normal'); default = 'idle' }
        state_dir = @{ type = 'path' }; store = @{ type = 'str' }; run = @{ type = 'str' }
        _advance = @{ type = 'bool'; default = $false }; _token = @{ type = 'str'; no_log = $false }
        _content = @{ type = 'str'; no_log = $false }; _recording = @{ type = 'str' }
    }
    supports_check_mode = $true; no_log = $true
}
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[ansible_collections.bulwark.servers.plugins.module_utils.windows.sign_ins.Look.Look]::Run($module)
$module.ExitJson()
