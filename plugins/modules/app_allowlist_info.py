#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_allowlist_info
short_description: Try allowlists on everything that was seen
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Judges all programs that scans recorded in the store by the allowlists of a directory, as
    M(bulwark.servers.app_control_info) would, and says what would be an alert.
  - Says which rules nobody uses, which hosts have no allowlist, and what is recommended to add.
  - A host has the lists that name it, and those that counted in its newest scan.
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
    description: The directory on the controller with the allowlists, that of C(app_control_allowlists).
    type: str
    required: true
  hosts:
    description: Inventory names of the hosts to judge. By default all that the store has programs of.
    type: list
    elements: str
  minimum_days:
    description: For how many days a host must have been observed before anything is recommended from it.
    type: int
    default: 14
  minimum_hosts:
    description: How many hosts a role must have before an allowlist is recommended for it.
    type: int
    default: 3
  max_review:
    description: How many programs to review are listed for a role at most.
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

- name: Show what would be an alert
  ansible.builtin.debug:
    msg: "{{ tried.lines }}"
  run_once: true
"""

RETURN = r"""
lines:
  description: The same for people, as lines of text.
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
      description: Why no allowlist has it.
      type: str
      returned: always
    sha256:
      description: Its digest; empty if it was never taken.
      type: str
      returned: always
    package:
      description: The package that it belongs to; empty for none.
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
      description: The accounts that ran it on the hosts that ran it last.
      type: list
      elements: str
      returned: always
    parents:
      description: The programs that started it there.
      type: list
      elements: str
      returned: always
    executions:
      description: How often it ran.
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
  description: The hosts of which programs are known, and that have no allowlist.
  type: list
  elements: str
  returned: success
changes:
  description: How the allowlists differ from what is recommended now.
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
      description: Rules about nothing that a host of the role ran.
      type: list
      elements: dict
      returned: always
    review:
      description: Programs that the list neither allows nor has for review, with C(reasons) and C(hosts).
      type: list
      elements: dict
      returned: always
    hosts_added:
      description: Hosts that have the role now, and that the list does not name.
      type: list
      elements: str
      returned: always
    hosts_removed:
      description: Hosts that the list names, and that do not have the role now.
      type: list
      elements: str
      returned: always
insufficient:
  description: Why nothing was recommended from a host, by host.
  type: dict
  returned: success
"""
