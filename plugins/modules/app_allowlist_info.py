#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_allowlist_info
short_description: Try allowlists on all recorded programs
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Compares all programs that scans recorded in the store with the allowlists of a directory, as
    M(bulwark.servers.app_control_info) does, and lists the alerts.
  - Lists unused rules, hosts without an allowlist, and recommended additions.
  - A host has the lists that name it, and those of its newest scan.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.store
attributes:
  platform:
    support: full
    platforms: posix
options:
  allowlists:
    description: The directory on the controller with the allowlists, as in C(app_control_allowlists).
    type: str
    required: true
  hosts:
    description:
      - Inventory names of the hosts to judge. Defaults to all hosts with programs in the store.
      - A host that neither the store nor the inventory has is an error, which names similar hosts.
    type: list
    elements: str
  minimum_days:
    description: Days for which a host must have been observed before its programs count.
    type: int
    default: 14
  minimum_hosts:
    description: Hosts that a role must have before an allowlist is recommended for it.
    type: int
    default: 3
  max_review:
    description: Programs for review that are listed for a role at most.
    type: int
    default: 20
seealso:
  - module: bulwark.servers.app_allowlist
  - module: bulwark.servers.app_allowlist_draft
"""

EXAMPLES = r"""
- name: Try the allowlists before a scan uses them
  bulwark.servers.app_allowlist_info:
    allowlists: allowlists
  run_once: true
  register: tried

- name: Show programs that would be an alert
  ansible.builtin.debug:
    msg: "{{ tried.lines }}"
  run_once: true
"""

RETURN = r"""
lines:
  description: The result as lines of text for people.
  type: list
  elements: str
  returned: success
alerts:
  description: Programs that would be alerts, those of most hosts first, at most 200.
  type: list
  elements: dict
  returned: success
  contains:
    program:
      description: The path of the program, with the image of a container before it.
      type: str
      returned: always
    alert:
      description: The id of the alert.
      type: str
      returned: always
    reason:
      description: The reason why no allowlist allows it.
      type: str
      returned: always
    sha256:
      description: Its digest, empty if unknown.
      type: str
      returned: always
    package:
      description: Its package, empty for none.
      type: str
      returned: always
    version:
      description: The version of the package.
      type: str
      returned: always
    hosts:
      description: The hosts that ran it, at most 20.
      type: list
      elements: str
      returned: always
    hosts_count:
      description: The number of hosts that ran it.
      type: int
      returned: always
    roles:
      description: The names of the allowlists of these hosts.
      type: list
      elements: str
      returned: always
    users:
      description: The accounts that ran it on the hosts with the latest executions.
      type: list
      elements: str
      returned: always
    parents:
      description: The programs that started it on these hosts.
      type: list
      elements: str
      returned: always
    executions:
      description: The number of its executions.
      type: int
      returned: always
    newest:
      description: When it ran last, in seconds since the epoch.
      type: float
      returned: always
alerts_count:
  description: The number of programs that would be alerts.
  type: int
  returned: success
hosts_judged:
  description: The number of hosts that have an allowlist.
  type: int
  returned: success
hosts_without:
  description: The hosts with known programs and without an allowlist.
  type: list
  elements: str
  returned: success
changes:
  description: The differences between the allowlists and the present recommendation.
  type: list
  elements: dict
  returned: success
  contains:
    role:
      description: The name of the allowlist.
      type: str
      returned: always
    add:
      description: Rules to add, as the file has them, each with the number of C(programs) and C(hosts).
      type: list
      elements: dict
      returned: always
    unused:
      description: Rules that match no program of the role's hosts.
      type: list
      elements: dict
      returned: always
    review:
      description: Programs that the list neither allows nor has for review, each with C(reasons) and C(hosts).
      type: list
      elements: dict
      returned: always
    hosts_added:
      description: Hosts that have the role now and are not in the list.
      type: list
      elements: str
      returned: always
    hosts_removed:
      description: Hosts in the list that do not have the role now.
      type: list
      elements: str
      returned: always
insufficient:
  description: The reason why a host gave no recommendation, by host.
  type: dict
  returned: success
"""
