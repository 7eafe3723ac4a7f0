# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil ansible_collections.bulwark.conformance.plugins.module_utils.Conformance

$spec = @{
    options = @{
        id = @{ type = 'str'; required = $true }
        phase = @{ type = 'str'; required = $true; choices = @('prepare', 'change', 'grow', 'check', 'look', 'remove') }
    }
    no_log = $true
}
$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[ansible_collections.bulwark.conformance.plugins.module_utils.Conformance.Conformance]::Run($module)
$module.ExitJson()
