#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_run
short_description: Open and close runs in the findings store, and tidy it
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - A run is one look at some hosts with some capabilities. Opening it notes every host and capability as not checked,
    until M(bulwark.servers.findings_record) records a result, so that a host that never answered can't look clean.
  - Also removes from the store what is no longer wanted. Nothing is ever removed without being asked for.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
    details:
      - The run of V(started) is then in no store; M(bulwark.servers.findings_record) in check mode takes its id all the
        same.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - Every V(started) opens another run, unless O(run) names it.
  platform:
    support: full
    platforms: all
options:
  state:
    description:
      - V(started) opens a run.
      - V(finished) closes one. A run that was never closed was cut off. What capabilities find about all hosts
        together, such as that allowlists are missing, is recorded then, with the host V((fleet\)).
      - V(pruned) removes resolved findings with their history, and runs with their coverage. New, open and suppressed
        findings stay, and so do the newest coverage of every host and capability and the newest results of controls.
        Judgements about controls go when they have ended.
      - V(forgotten) removes everything about hosts that are no more, with the seals of their baselines. With
        O(capabilities) it removes only what the store has of these, and leaves the seals.
    type: str
    required: true
    choices: [started, finished, pruned, forgotten]
  run:
    description:
      - Id of the run. Required when O(state=finished).
      - With O(state=started) it adds hosts and capabilities to the run of this id, which is opened when there is
        none. Give the slices of an AWX job one id, for example that of the workflow job, and they share a run. By
        default a new id is made.
    type: str
  capabilities:
    description:
      - With O(state=started) the capabilities that will look at each host, as a list or as names with commas between.
        Defaults to all that the collection has. A name that is not one of these is refused, and no run is opened.
      - With O(state=forgotten) the capabilities whose findings and coverage are removed, under whatever name the store
        has them; of every host when O(hosts) is not given.
    type: list
    elements: str
  hosts:
    description:
      - The inventory names of the hosts. O(state=forgotten) needs these, or O(capabilities).
      - With O(state=started) it defaults to all hosts of the play, also those that failed already.
    type: list
    elements: str
  playbook:
    description: What is run, in the run's description. Defaults to the name of the play.
    type: str
  older_than:
    description:
      - Required when O(state=pruned). What ended before this is removed.
      - A number of minutes, hours, days or weeks (V(90m), V(12h), V(30d), V(52w)), a date, or a date and time
        (V(2026-05-31), V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
    type: str
  reasons:
    description:
      - With O(state=finished), why a host has no result, by its inventory name. The coverage then says that.
      - Hosts that have a result are left as they are.
    type: dict
    default: {}
  report_path:
    description:
      - With O(state=started), the file that M(bulwark.servers.findings_report) is to write once the hosts were
        looked at. No run is opened when it could not be written.
    type: str
seealso:
  - module: bulwark.servers.findings_record
  - module: bulwark.servers.findings_info
"""

EXAMPLES = r"""
- name: Open a run for all hosts of this play
  bulwark.servers.findings_run:
    state: started
    capabilities:
      - file_integrity
  run_once: true
  register: opened

- name: Close it
  bulwark.servers.findings_run:
    state: finished
    run: "{{ opened.run.id }}"
  run_once: true
  register: closed

- name: Remove runs and resolved findings of more than a year ago
  bulwark.servers.findings_run:
    state: pruned
    older_than: 365d
  run_once: true

- name: Forget a host that was taken out of service
  bulwark.servers.findings_run:
    state: forgotten
    hosts:
      - web7.example.com
  run_once: true

- name: Fail when something serious is open on the hosts that were looked at
  ansible.builtin.assert:
    that: closed.counts.open_at_least.high == 0
  run_once: true

- name: Forget a capability that two hosts are not to be looked at with any more
  bulwark.servers.findings_run:
    state: forgotten
    hosts:
      - web8.example.com
      - web9.example.com
    capabilities:
      - file_integrity
  run_once: true
"""

RETURN = r"""
run:
  description:
    - The run. In check mode, V(finished) for a run that is in no store returns only its RV(run.id).
  returned: when O(state=started) or O(state=finished)
  type: dict
  contains:
    id:
      description: Its id, for M(bulwark.servers.findings_record).
      returned: always
      type: str
      sample: 2f4b8f0e-8f52-4c39-9a65-0c2a7f3ad1de
    started:
      description: When it was opened, in seconds since the epoch.
      returned: always
      type: float
      sample: 1780228800.0
    finished:
      description: When it was closed, in seconds since the epoch, or none.
      returned: always
      type: float
    playbook:
      description: What was run.
      returned: always
      type: str
      sample: Scan
    user:
      description: Who ran it, the AWX user where there is one, otherwise the account on the controller.
      returned: always
      type: str
      sample: alice
    controller:
      description: The host name of the controller.
      returned: always
      type: str
      sample: control1
    version:
      description: The version of the collection.
      returned: always
      type: str
      sample: 0.1.0
    capabilities:
      description: The capabilities that look at the hosts.
      returned: always
      type: list
      elements: str
      sample: [file_integrity]
    hosts:
      description: How many hosts they look at.
      returned: always
      type: int
      sample: 12
    statuses:
      description: How many of the hosts' capabilities are V(checked), V(partial) and V(not_checked) so far.
      returned: always
      type: dict
      sample: {not_checked: 12}
capabilities:
  description: The capabilities that were asked for, each once. Loop over these.
  returned: when O(state=started)
  type: list
  elements: str
  sample: [file_integrity]
counts:
  description:
    - What the run can be judged by. Counts only the hosts and capabilities of the run, and of those also findings that
      an earlier run found and this one could not look for.
  returned: when O(state=finished), except in check mode for a run that is in no store
  type: dict
  contains:
    open_at_least:
      description: For each severity, how many findings that are new or open have it or a higher one.
      returned: always
      type: dict
      sample:
        critical: 1
        high: 3
        medium: 9
        low: 20
        informational: 24
    not_fully_checked:
      description: How many capabilities on hosts were checked only in part or not at all.
      returned: always
      type: int
      sample: 0
removed:
  description: How many things were removed, by what they are.
  returned: when O(state=pruned) or O(state=forgotten)
  type: dict
  sample: {findings: 120, runs: 30}
"""
