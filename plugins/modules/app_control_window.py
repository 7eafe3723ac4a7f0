#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_control_window
short_description: Let every program run on a host for a while, and record it
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Opens a maintenance window on a host with M(bulwark.servers.app_control) in mode V(enforce). Every program runs
    until the window ends. fapolicyd still records the programs that the policy would have stopped, and the next scan
    reports them.
  - The window ends by itself, even if the controller is gone, and at a boot of the host. At its end the host writes the
    policy anew for the installed packages.
  - If the policy would stop a program that the next sign-in needs, such as a changed B(sshd), every program can still
    run after the window, and each scan reports this.
  - Upgrades by B(apt) and B(dpkg) need no window.
  - The store records who opened a window, when, why, until when, and how it ended. It records the window before the
    host opens it.
  - The playbook C(bulwark.servers.app_window) runs this module.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The result has the opened or closed window.
  idempotent:
    support: partial
    details:
      - A second window is refused while one is open. A closed window is not closed again.
options:
  state:
    description:
      - V(opened) opens a window. It is refused while one is open, and on a host that enforces nothing.
      - V(closed) ends it before its time.
    type: str
    choices: [opened, closed]
    default: opened
  minutes:
    description: Minutes for which the window is open, from 1 to 1440. Required with O(state=opened).
    type: int
  reason:
    description: The reason for the window. Required with O(state=opened).
    type: str
    default: ''
  by:
    description: The person who does this. The store always records the account on the controller, too.
    type: str
  state_dir:
    description: Directory on the host for the policy. Defaults to C(/var/lib/bulwark).
    type: path
  lock_timeout:
    description: Seconds to wait for another run that changes the policy of the same host.
    type: int
    default: 60
seealso:
  - module: bulwark.servers.app_control
  - module: bulwark.servers.app_control_info
"""

EXAMPLES = r"""
- name: Let everything run for an hour
  bulwark.servers.app_control_window:
    minutes: 60
    reason: CHG-4711, the vendor's installer

- name: End it
  bulwark.servers.app_control_window:
    state: closed
"""

RETURN = r"""
window:
  description: The window. None if there never was one.
  returned: success
  type: dict
  contains:
    opened:
      description: When it was opened, in seconds since the epoch.
      type: float
      returned: success
    until:
      description: When it ends by itself, in seconds since the epoch.
      type: float
      returned: success
    by:
      description: Who opened it.
      type: str
      returned: success
    reason:
      description: Why.
      type: str
      returned: success
    ended:
      description: When it ended, in seconds since the epoch. None while it is open.
      type: float
      returned: success
    how:
      description: How it ended, in words.
      type: str
      returned: success
    problem:
      description: The reason why every program still runs after its end.
      type: str
      returned: success
messages:
  description: Sentences about what was done.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.apply_window import apply
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.options import window_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=window_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
