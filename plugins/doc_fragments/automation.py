# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that name known automation."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that name the accounts, addresses and services of automation."""

    DOCUMENTATION = r"""
options:
  automation_users:
    description:
      - Accounts that automation signs in with, such as C(ansible). What happens in their sessions is explained, and
        reported with a lower severity, if the sign-in came from the controller.
      - An account counts as signed in where the kernel and the host's own sshd say so, as long as the session lasts,
        and for a day at most.
    type: list
    elements: str
    default: []
  automation_addresses:
    description:
      - Addresses or networks that automation signs in from, beside that of the connection that this task itself came
        through, if it came with one of O(automation_users).
    type: list
    elements: str
    default: []
  automation_units:
    description:
      - Services of systemd that configure the host, such as C(puppet.service). What their main process does, and what
        it starts, is explained while the service runs, if its unit and its program are unchanged files of packages.
      - By default none. The role names those of Puppet, Chef, Salt, CFEngine and cloud-init.
    type: list
    elements: str
    default: []
"""
