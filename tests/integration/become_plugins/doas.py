# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Become another account with doas, as community.general does, which is not part of ansible-core."""

from __future__ import annotations

import typing as t

from ansible.plugins.become import BecomeBase

DOCUMENTATION = r"""
name: doas
short_description: Do As user
description: Runs tasks as another account, without a password.
author: bulwark.servers contributors (@bulwark-servers)
options:
  become_user:
    description: The account.
    default: root
    vars: [{name: ansible_become_user}]
  become_pass:
    description: The password, of which there is none.
    vars: [{name: ansible_become_password}]
"""


class BecomeModule(BecomeBase):
    name = "doas"

    def build_become_command(self, cmd: t.Any, shell: t.Any) -> t.Any:
        super().build_become_command(cmd, shell)
        if not cmd:
            return cmd
        # Its own shell keeps what follows && with doas.
        command = self._build_success_command(cmd, shell, noexe=True)
        return f"doas -n -u {self.get_option('become_user')} {shell.executable} -c {command}"
