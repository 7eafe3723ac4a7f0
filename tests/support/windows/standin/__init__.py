# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows host for real Ansible, without Windows: what a real ssh connection reaches instead of PowerShell.

    with host.windows_host(tmp_path) as windows:
        controller("2.18").run_playbook(playbook, inventory=windows.inventory)

Real: ansible-core's payload and its way to the host, the collection's C#, ansible-core's own Ansible.Basic with its
judgement of options, and Windows' API as far as Wine has it. The utilities are compiled as C# 5 and run as a Windows
process.

Not real, and not shown by any test through it:

- PowerShell: its wrappers (bootstrap, exec and module wrapper), Add-Type and its C# compiler, language modes,
  AMSI and execution policies. A module is read by ``literal_module`` instead, and every other form is refused.
- JSON on the host: ConvertFrom-Json and ConvertTo-Json of PowerShell. ``JavaScriptSerializer.cs`` takes their place.
- .NET Framework: the program runs by .NET Core 3.1. That it uses nothing beyond .NET Framework 4.5 is what the test
  that compiles all C# shows.
- become, async, file transfer and everything that needs a temporary directory: refused with a message.

``command`` reads what Ansible wants to execute, ``payload`` what it sends, ``execution`` compiles and runs it, and
``host`` makes the host with its inventory. ``pwsh`` answers ansible-test.
"""
