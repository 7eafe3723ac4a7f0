#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_control
short_description: Enforce the allowlists of a host with fapolicyd
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Makes fapolicyd stop programs that the reviewed allowlists of a host do not have. The playbook
    C(bulwark.servers.learn) writes such lists, and M(bulwark.servers.app_control_info) reports other programs.
  - Nobody is locked out. First a separate daemon tries the policy on one file system in memory. Then the policy is on
    trial on the host. The action plugin opens a new connection, runs a module through it, and confirms the policy if
    this works. Otherwise a process on the host restores the former state by itself, within O(confirm_within) seconds,
    even if fapolicyd hangs or the controller is gone. A boot during the trial restores it, too.
  - A policy is refused, with all reasons, in three cases. Too little was observed, it would stop a program that ran and
    that O(blocked) does not name, or a file that the next sign-in needs differs from its package.
  - It adds files to C(/etc/fapolicyd), changes settings in C(fapolicyd.conf), and keeps the rules and the trust of
    others.
  - Check mode starts and mounts nothing. So it does not find a policy that fapolicyd rejects, such as one with a wrong
    rule of others, and services that do not restart. Diff mode shows settings, rules, and changed lines of trust.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) brings the host into O(mode). V(absent) ends enforcement, and restores the former files byte by byte.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(audit) ends enforcement.
      - With V(rehearse), fapolicyd decides and logs, and lets everything run. With V(enforce), it stops programs.
    type: str
    choices: [audit, rehearse, enforce]
    default: audit
  allowlists:
    description:
      - Directory on the controller with the reviewed allowlists, as for M(bulwark.servers.app_control_info). Required
        for O(mode=rehearse) and O(mode=enforce).
    type: path
  roles:
    description: Names of allowlists that apply in addition to those that name the host.
    type: list
    elements: str
    default: []
  confirm_within:
    description:
      - Seconds that a new policy is on trial, 30 to 3600. Without a confirmation the task fails, and the host has its
        former state.
    type: int
    default: 120
  restart_services:
    description:
      - Services of systemd that must restart during the trial, such as V(ssh.service). A policy is refused if one of
        them does not exist or is masked.
    type: list
    elements: str
    default: []
  blocked:
    description:
      - Paths of programs that ran and that you want to stop. Patterns with C(*) are allowed. A policy that would stop
        another program that ran is refused.
    type: list
    elements: str
    default: []
  file_systems:
    description:
      - Types of file systems that fapolicyd watches, such as V(ext4). When empty, those of the host's local disks and
        of tmpfs.
    type: list
    elements: str
    default: []
  watcher:
    description: Whether a unit of systemd ends a fapolicyd that hangs. For versions without a watchdog.
    type: bool
    default: false
  minimum_days:
    description: Days on which executions must have been observed on the host.
    type: int
    default: 14
  state_dir:
    description:
      - Absolute path of the directory on the host for the deployed policy and the former files. Defaults to
        C(/var/lib/bulwark). It must be the same as for M(bulwark.servers.app_control_info).
    type: path
  store:
    description:
      - URL of the findings store, as in M(bulwark.servers.findings). It knows which programs the host remembers.
    type: str
  lock_timeout:
    description: Seconds to wait for another run that changes the same host's policy, or has one on trial.
    type: int
    default: 60
  _content:
    description:
      - Set by the action plugin. The allowlist of the host.
    type: str
  _connection:
    description:
      - Set by the action plugin. How modules are transferred to the host and run there.
    type: dict
  _token:
    description:
      - Set by the action plugin. How far the store knows the host.
    type: str
  _confirm:
    description:
      - Set by the action plugin. The trial to confirm.
    type: str
  _withdraw:
    description:
      - Set by the action plugin. The unconfirmed trial to remove.
    type: str
notes:
  - Needs systemd and fapolicyd on the host. Without them nothing is deployed, the host stays in audit mode, and
    RV(reason) says so. The playbook C(bulwark.servers.protect) installs fapolicyd.
  - The deploying account can still run modules, with and without pipelining. So can the last eight other accounts that
    deployed, as long as they exist. Without pipelining, any other account than root is refused. O(state=absent) forgets
    these accounts.
  - fapolicyd 1.3.4 is tested. Other versions are known by their documentation.
  - fapolicyd does not stop scripts that a trusted interpreter reads from a pipe, code in arguments, files in memory,
    programs in containers, and files on file systems that are not watched.
  - Never test with a trusted file under another name. fapolicyd caches its decision, and then refuses the file under
    its own name, too.
seealso:
  - module: bulwark.servers.app_control_info
"""

EXAMPLES = r"""
- name: Let fapolicyd decide and log, and let everything run
  bulwark.servers.app_control:
    mode: rehearse
    allowlists: allowlists/app_control

- name: Stop programs that the reviewed allowlists lack
  bulwark.servers.app_control:
    mode: enforce
    allowlists: allowlists/app_control
    restart_services: [ssh.service, cron.service]
    blocked: [/opt/miner/*]

- name: Stop the enforcement
  bulwark.servers.app_control:
    state: absent
"""

RETURN = r"""
mode:
  description: The requested mode.
  type: str
  returned: success
deployed:
  description: Whether a policy is in force for good.
  type: bool
  returned: success
reason:
  description: The reason why this host cannot have a policy, such as a missing fapolicyd. Empty if it can.
  type: str
  returned: success
confirmed:
  description: Whether the policy in force is confirmed.
  type: bool
  returned: success
problem:
  description:
    - How the host differed from the policy that was deployed before, such as changed files.
  type: str
  returned: if something changes
rules:
  description: The number of rules of the policy.
  type: int
  returned: with a policy
trusted:
  description: The number of files that the policy trusts.
  type: int
  returned: with a policy
unexpressed:
  description: Entries of the allowlist that the installed fapolicyd cannot enforce. They are not deployed.
  type: list
  elements: dict
  returned: with a policy
  contains:
    what:
      description: The entry.
      type: str
      returned: success
    why:
      description: The reason why it is not deployed.
      type: str
      returned: success
stopped:
  description: Programs that ran and that the policy stops.
  type: list
  elements: dict
  returned: with a policy
  contains:
    path:
      description: The program.
      type: str
      returned: success
    kind:
      description: The kind of the file.
      type: str
      returned: success
    why:
      description: The reason why the policy stops it.
      type: str
      returned: success
    last:
      description: When it ran last, in seconds since the epoch.
      type: float
      returned: success
conflicts:
  description: Rules of others that sort before those of the policy, or that have nothing left to decide after them.
  type: list
  elements: str
  returned: with a policy
refused:
  description: The reasons why a policy is not deployed, one sentence each.
  type: list
  elements: str
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.apply import apply
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.options import apply_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
