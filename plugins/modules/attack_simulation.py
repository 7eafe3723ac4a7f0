#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: attack_simulation
short_description: Do on a host what attackers do, without the harm
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Raises alerts on purpose, to see that they are seen. For each alert that has a simulation it starts small programs
    with the names and arguments of attackers' tools, makes files where attackers do, sends the audit records that
    a sign-in leaves, or has the first packet of a connection come in, and removes at the end all that it made.
  - The programs are made by the module and do nothing but what the simulation says. Nothing leaves the host, no file
    of the host is changed, no account is used. What comes in does so over two network interfaces of which the host has
    both ends, for a second or two. What it makes is noted before, so that the next run removes what one
    that was cut off left.
  - On Windows hosts, M(bulwark.servers.win_attack_simulation) does the work. It says what differs there.
  - What is found by looking at processes takes programs that stay, and do nothing but sleep, for five minutes at most.
  - The playbook C(bulwark.servers.simulate) does this, looks whether each alert comes, and shows a matrix.
  - The store gets the simulation, with the number of each session in which the host's kernel recorded it. Scans record
    findings whose events all happened in these sessions as resolved, and count them apart. Everything else that happens
    meanwhile is real.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
    details:
      - Says what could be simulated on the host, and does nothing.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run simulates again.
options:
  alerts:
    description:
      - Ids of the alerts to simulate, or patterns of them with C(*) and C(?).
      - By default all that have a simulation.
      - With an empty list nothing is simulated, and what the last run left to be looked at is ended and removed. From
        then on, packets that came in for the last run are no findings.
    type: list
    elements: str
  confirm:
    description:
      - Must be V(true), but for check mode. Whoever watches the host sees attacks, and other security software may act
        on them.
    type: bool
    default: false
  state_dir:
    description:
      - Directory on the host below which everything is noted and made, as an absolute path.
      - It is made with mode C(0700). One that is there already keeps its mode, and is refused unless that is C(0700).
      - Defaults to C(/var/lib/bulwark).
    type: path
  state_dirs:
    description:
      - For capabilities whose policy on the host says what is locked or blocked, such as V(jit_access) and
        V(network_hardening), the O(state_dir) that it was set with, as an absolute path.
      - For one that is not named, or whose value is empty, C(/var/lib/bulwark).
    type: dict
    default: {}
  lock_timeout:
    description: Seconds to wait for another simulation on the same host.
    type: int
    default: 60
  store:
    description:
      - URL of the findings store, as in M(bulwark.servers.findings), that gets the simulation. Never sent to the host.
    type: str
  _simulations:
    description: Set by the action plugin. What to do for each alert.
    type: list
    elements: dict
notes:
  - Needs root, and a processor that there are simulated programs for, x86-64 or AArch64.
  - File systems that are mounted with C(noexec) let none of the programs run.
seealso:
  - module: bulwark.servers.win_attack_simulation
  - module: bulwark.servers.audit_events_info
  - module: bulwark.servers.memory_scan_info
  - module: bulwark.servers.sign_in_info
  - plugin: bulwark.servers.simulation_outcomes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Simulate attacks with kernel modules
  bulwark.servers.attack_simulation:
    alerts: ['kernel_module_*']
    confirm: true
  register: simulated

- name: Look for the findings
  bulwark.servers.audit_events_info:
    since: "{{ simulated.started }}"
  register: events

- name: Show the matrix
  ansible.builtin.debug:
    msg: "{{ (simulated | bulwark.servers.simulation_outcomes(events.findings, ['kernel_module_*'])).lines }}"
"""

RETURN = r"""
simulations:
  description: What was done for each alert.
  type: list
  elements: dict
  returned: success
  contains:
    alert:
      description: Id of the alert.
      type: str
      returned: always
    status:
      description:
        - V(done), V(skipped) where the host lacks something, V(failed), or in check mode V(foreseen).
      type: str
      returned: always
    reason:
      description: Why it was skipped or failed.
      type: str
      returned: always
    from:
      description: When it began, in seconds since the epoch.
      type: float
      returned: not in check mode
    to:
      description: When it ended.
      type: float
      returned: not in check mode
    pids:
      description: Process ids of the programs that were started.
      type: list
      elements: int
      returned: not in check mode
    person:
      description: The number of the account that the programs and records were signed in as; nobody has it.
      type: int
      returned: not in check mode
    sessions:
      description:
        - The numbers of the kernel's sessions in which nothing but this was done. None in a container, or where the
          kernel lets no process change who signed in.
      type: list
      elements: int
      returned: not in check mode
    refused:
      description: Why the host did not execute a program, such as one that fapolicyd stops; none if it executed all.
      type: str
      returned: not in check mode
    staying:
      description:
        - Process ids of those that still run, so that they can be looked at. They end after some minutes, and when this
          module is run the next time.
      type: list
      elements: int
      returned: not in check mode
    marks:
      description: Texts that only this simulation has in its paths, accounts and addresses.
      type: list
      elements: str
      returned: not in check mode
    steps:
      description: How many programs would be started, records sent and connections made.
      type: int
      returned: in check mode
    left:
      description: One sentence for each thing that could not be removed.
      type: list
      elements: str
      returned: not in check mode
capabilities:
  description: The capabilities that the simulated alerts are of, thus what has to look whether they come.
  type: list
  elements: str
  returned: success
platform:
  description: The platform of the host, V(linux) or V(windows), whose alerts were simulated.
  type: str
  returned: success
simulation:
  description: The id of the simulation in the store.
  type: str
  returned: when something was simulated
started:
  description: When the first simulation began, in seconds since the epoch; none in check mode.
  type: float
  returned: success
"""

import functools

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import locked
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import visitors
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.apply import Hook, apply
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.options import apply_spec

# What ``visits`` of a simulation can name. Ansible sends the imports of this file to the host and finds no others.
HOOKS = {
    "from_blocked": Hook("network_hardening", visitors.blocked, visitors.note),
    "locked_port": Hook("jit_access", locked.port, locked.note),
    "narrowed_port": Hook("network_hardening", visitors.denied, visitors.note),
}


def main() -> None:
    module = AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True)
    run_module(module, functools.partial(apply, hooks=HOOKS))


if __name__ == "__main__":
    main()
