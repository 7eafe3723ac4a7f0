#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: findings_export_info
short_description: Show the state of the destinations of the export
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns the destinations that M(bulwark.servers.findings_export) registered, with the number and age of the changes
    that wait for each, and the last error. It also returns the changes that a receiver refused, with its reasons.
  - Connects to no receiver and needs no secret.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.store
attributes:
  platform:
    support: full
    platforms: all
options:
  names:
    description: Names of the destinations to return, by default all.
    type: list
    elements: str
    default: []
  gather:
    description:
      - Changes to return. V(set_aside) returns those that a receiver refused, V(waiting) those that wait.
    type: list
    elements: str
    choices: [set_aside, waiting]
    default: [set_aside]
  events:
    description: Whether to return each change with its OCSF event.
    type: bool
    default: false
  limit:
    description: Largest number of changes to return for each destination, 1 or more, the oldest first.
    type: int
    default: 100
seealso:
  - module: bulwark.servers.findings_export
"""

EXAMPLES = r"""
- name: Get the state of all destinations
  bulwark.servers.findings_export_info:
  run_once: true
  register: export

- name: Show the destinations with waiting changes
  ansible.builtin.debug:
    msg: "{{ item.name }} waits since {{ item.waiting_since }}. {{ item.last_error }}"
  loop: "{{ export.destinations | selectattr('waiting') }}"
  loop_control:
    label: "{{ item.name }}"
  run_once: true

- name: Show the changes that one receiver refused, with their events
  bulwark.servers.findings_export_info:
    names:
      - siem
    events: true
  run_once: true
"""

RETURN = r"""
destinations:
  description: The destinations by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
      sample: siem
    kind:
      description: Its kind.
      returned: always
      type: str
      sample: syslog
    address:
      description: The address of the receiver, without secrets.
      returned: always
      type: str
      sample: logs.example.com:6514
    filter:
      description:
        - Filters of the destination. An empty list, or none, limits nothing. C(group_hosts) are the hosts that
          C(groups) had when it was registered.
      returned: always
      type: dict
      sample: {hosts: [], groups: [], group_hosts: [], capabilities: [], alerts: [], statuses: [], severity: high}
    evidence:
      description: Whether it gets changes that only add evidence.
      returned: always
      type: bool
      sample: false
    coverage:
      description: Whether it gets the coverage of each run.
      returned: always
      type: bool
      sample: true
    max_changes:
      description: Largest number of waiting changes. None if there is no limit.
      returned: always
      type: int
      sample: 1000000
    max_age:
      description: Longest time in seconds that a change waits. None if there is no limit.
      returned: always
      type: float
      sample: 2592000.0
    when_full:
      description: Which changes stay at a limit, V(keep_oldest) or V(keep_newest). None if there is no limit.
      returned: always
      type: str
      sample: keep_newest
    registered:
      description: When it was registered, in seconds since the epoch.
      returned: always
      type: float
      sample: 1780228800.0
    waiting:
      description: Number of waiting changes.
      returned: always
      type: int
      sample: 12
    waiting_bytes:
      description: Their size in bytes.
      returned: always
      type: int
      sample: 24576
    waiting_since:
      description: When the oldest of them was recorded, in seconds since the epoch. None if nothing waits.
      returned: always
      type: float
      sample: 1780228800.0
    set_aside:
      description: Number of changes that the receiver refused.
      returned: always
      type: int
      sample: 1
    sent:
      description: Number of changes that the receiver confirmed since it was registered.
      returned: always
      type: int
      sample: 4711
    dropped:
      description: Number of changes that a limit dropped since it was registered.
      returned: always
      type: int
      sample: 0
    shortened:
      description:
        - Number of changes that were sent without some of their data since it was registered, because the receiver
          limits their size.
      returned: always
      type: int
      sample: 3
    last_sent:
      description: When the receiver last confirmed a change, in seconds since the epoch. None if it never did.
      returned: always
      type: float
      sample: 1780228800.0
    attempts:
      description: Number of failures in a row.
      returned: always
      type: int
      sample: 2
    retry_at:
      description: Time before which no export tries again, in seconds since the epoch. None if there is no such time.
      returned: always
      type: float
      sample: 1780229700.0
    last_error:
      description: Last failure, in a sentence. None after a success.
      returned: always
      type: str
      sample: connection refused
    changes_set_aside:
      description: The changes that the receiver refused.
      returned: when O(gather) has V(set_aside)
      type: list
      elements: dict
      contains:
        id:
          description: Its number in the queue of the destination.
          returned: always
          type: int
          sample: 17
        key:
          description: The C(uid) of the finding, or for coverage that of the host's Scan Activity.
          returned: always
          type: str
          sample: 0a3c2f5e-65a9-5a55-8d68-5d3d8c1a2b3c
        uid:
          description: The event's C(metadata.uid), by which a receiver can recognise repetitions.
          returned: always
          type: str
          sample: 4be1a0c5-9d8b-5a0e-8a67-0f6f5c1a9d11
        change:
          description: What happened, such as V(new), V(resolved) or V(coverage).
          returned: always
          type: str
          sample: new
        host:
          description: The host by its name in the inventory.
          returned: always
          type: str
          sample: web1
        capability:
          description: The capability, none for coverage.
          returned: always
          type: str
          sample: file_integrity
        alert:
          description: Id of the alert, none for coverage.
          returned: always
          type: str
          sample: fim_file_modified
        at:
          description: When it was recorded, in seconds since the epoch.
          returned: always
          type: float
          sample: 1780228800.0
        size:
          description: The size of the event in bytes.
          returned: always
          type: int
          sample: 2048
        attempts:
          description: Number of times that the receiver asked for it again.
          returned: always
          type: int
          sample: 0
        reason:
          description: Reason of the receiver to refuse it. None for a change that was not refused.
          returned: always
          type: str
          sample: mapper_parsing_exception, failed to parse field [device.ip]
        event:
          description: The OCSF event after the change.
          returned: when O(events=true)
          type: dict
          sample: {class_uid: 2004}
    changes_waiting:
      description: The changes that wait, each with the same fields.
      returned: when O(gather) has V(waiting)
      type: list
      elements: dict
      sample: []
"""
