#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_control
short_description: Enforce the allowlist of a host by fapolicyd
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Has fapolicyd stop what the reviewed allowlists of a host don't have. The playbook C(bulwark.servers.learn) writes
    such lists, and M(bulwark.servers.app_control_info) reports meanwhile what they don't have.
  - Nobody is locked out. A policy is proven first by a daemon of our own, that decides about one file system in memory
    and nothing else. Then it is on trial on the host. The action plugin opens a new connection and runs a module
    through it, and only when that works is the policy confirmed. Otherwise a process on the host goes back to what was
    there before, within O(confirm_within) seconds, by itself, also when fapolicyd hangs and when the controller is
    gone. A host that is booted during the trial has what it had before, too.
  - A policy is refused with all reasons if too little was observed, if it would stop programs that ran and that
    O(blocked) does not name, or if a file that the way back in needs is not as its package says.
  - It has files of its own in C(/etc/fapolicyd). It changes settings in C(fapolicyd.conf) and keeps the rules and the
    trust of others.
  - In check mode it only looks; nothing is started or mounted. A policy that fapolicyd does not take, such as one with
    a wrong rule of others, and services that do not restart with it are found without check mode only. In diff mode it
    shows settings, rules, and the lines of trust that differ.
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
      - V(present) brings the host into O(mode). V(absent) takes enforcement back, and restores byte by byte what was
        there before.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(audit) enforces nothing; what is enforced is taken back.
      - V(rehearse) has fapolicyd decide and log, and lets everything run. V(enforce) has fapolicyd stop it.
    type: str
    choices: [audit, rehearse, enforce]
    default: audit
  allowlists:
    description:
      - Directory on the controller with the allowlists that people reviewed, as for
        M(bulwark.servers.app_control_info). Needed for O(mode=rehearse) and O(mode=enforce).
    type: path
  roles:
    description: Names of allowlists that count in addition to those that name the host.
    type: list
    elements: str
    default: []
  confirm_within:
    description:
      - Seconds that a new policy is on trial, 30 to 3600. If it isn't confirmed in that time, the task fails, and the
        host has what it had before.
    type: int
    default: 120
  restart_services:
    description:
      - Services of systemd that must restart well while the policy is on trial, such as V(ssh.service). A policy is
        refused if systemd can't start one of them, because there is none of that name or it is masked.
    type: list
    elements: str
    default: []
  blocked:
    description:
      - Paths of programs that ran, and that people decided to stop. Patterns with C(*) are allowed. A policy that would
        stop another program that ran is refused.
    type: list
    elements: str
    default: []
  file_systems:
    description:
      - Types of file systems that fapolicyd watches, such as V(ext4). When empty, those of local disks and of tmpfs
        that the host has.
    type: list
    elements: str
    default: []
  watcher:
    description: Whether a unit of systemd ends fapolicyd if it hangs, for versions without a watchdog.
    type: bool
    default: false
  minimum_days:
    description: On how many days executions must have been observed on the host.
    type: int
    default: 14
  state_dir:
    description:
      - Directory on the host that holds what is deployed and what was there before, as an absolute path;
        C(/var/lib/bulwark) when not given. It must be that of M(bulwark.servers.app_control_info).
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
      - The allowlist of the host. For the action plugin only, which fills it in.
    type: str
  _connection:
    description:
      - How modules come to the host and are run there. For the action plugin only, which fills it in.
    type: dict
  _token:
    description:
      - How far the store knows the host. For the action plugin only, which fills it in.
    type: str
  _confirm:
    description:
      - Which trial is to be confirmed. For the action plugin only, which fills it in.
    type: str
  _withdraw:
    description:
      - Which trial that nobody has confirmed is to be removed. For the action plugin only, which fills it in.
    type: str
notes:
  - Needs systemd and fapolicyd on the host. Without them nothing is deployed, the host stays in audit mode, and
    RV(reason) says so. The role C(bulwark.servers.app_control) installs fapolicyd.
  - The account that deploys goes on to come in, with pipelining and without, and so do the accounts of the eight
    deployments before it by others, as long as they exist. Any other account than root that comes without pipelining
    is refused. O(state=absent) forgets them.
  - fapolicyd 1.3.4 is tested. Other versions are known by their documentation.
  - Not stopped are scripts that a trusted interpreter reads from a pipe, code in arguments, files in memory, programs
    in containers, and what lies on file systems that are not watched.
  - Never run a file that is trusted under another name to try it. fapolicyd caches its decision, and refuses the file
    under its own name afterwards, too.
seealso:
  - module: bulwark.servers.app_control_info
"""

EXAMPLES = r"""
- name: Let fapolicyd decide and log, and let everything run
  bulwark.servers.app_control:
    mode: rehearse
    allowlists: allowlists/app_control

- name: Stop what the reviewed allowlists don't have
  bulwark.servers.app_control:
    mode: enforce
    allowlists: allowlists/app_control
    restart_services: [ssh.service, cron.service]
    blocked: [/opt/miner/*]

- name: Take enforcement back
  bulwark.servers.app_control:
    state: absent
"""

RETURN = r"""
mode:
  description: The mode that was asked for.
  type: str
  returned: success
deployed:
  description: Whether a policy is in force for good.
  type: bool
  returned: success
reason:
  description: Why this host can't have a policy, such as that fapolicyd is not installed; empty if it can.
  type: str
  returned: success
confirmed:
  description: Whether the policy in force is confirmed.
  type: bool
  returned: success
problem:
  description:
    - How the host differs from the policy, if one was deployed before, such as the files that are not those of the
      policy.
  type: str
  returned: if something changes
rules:
  description: How many rules the policy has.
  type: int
  returned: with a policy
trusted:
  description: How many files the policy trusts.
  type: int
  returned: with a policy
unexpressed:
  description: Entries of the allowlist that the installed fapolicyd can't enforce. They are not deployed.
  type: list
  elements: dict
  returned: with a policy
  contains:
    what:
      description: The entry.
      type: str
      returned: success
    why:
      description: Why it is not deployed.
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
      description: What kind of file it is.
      type: str
      returned: success
    why:
      description: Why the policy stops it.
      type: str
      returned: success
    last:
      description: When it ran last, in seconds since the epoch.
      type: float
      returned: success
conflicts:
  description: Rules of others that sort before those of the policy, or that these leave nothing to decide.
  type: list
  elements: str
  returned: with a policy
refused:
  description: Why a policy is not deployed, one sentence for each reason.
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
