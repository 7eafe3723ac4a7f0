#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_allowlist
short_description: Approve programs that no allowlist has
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Approves programs that M(bulwark.servers.app_control_info) reported. Each approval has a person, a reason, and an
    end if you give one.
  - Adds entries to the file C(exceptions.yml) in the directory of allowlists, and resolves the findings. Comments,
    order and other entries in the file stay as they are. A file that cannot be changed in this way is refused.
  - The next scan uses the file. Keep the directory in Git, so that others review the approvals.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the change of the file.
  idempotent:
    support: full
    details:
      - Nothing is added if an entry already approves the program for at least the same time and hosts.
  platform:
    support: full
    platforms: posix
options:
  allowlists:
    description: The directory on the controller with the allowlists, as in C(app_control_allowlists).
    type: str
    required: true
  approve:
    description:
      - "The uids of findings, or absolute paths of programs. A path in a container begins with the image, as in
        findings: V(nginx: /usr/bin/tool)."
      - A finding approves the content that the program had when it was seen. A path approves any content.
      - A path cannot be a pattern, because intruders choose names, too. Write patterns into the file yourself.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) approves.
      - V(absent) removes the entries of the programs for the given hosts and account.
    type: str
    choices: [present, absent]
    default: present
  hosts:
    description:
      - Inventory names of the hosts on which the programs may run. An empty list means all.
      - Defaults to the host of a finding, and to all hosts for a path.
    type: list
    elements: str
  user:
    description: The account that may run the programs. By default any.
    type: str
    default: ''
  any_content:
    description:
      - Whether the program of a finding may run with other content, too. Then everybody who can write to the file
        decides what runs.
    type: bool
    default: false
  reason:
    description: Why the programs are needed. Required when O(state=present).
    type: str
  until:
    description:
      - When the approval ends, as V(2026-12-31) (to the end of that day, UTC), V(2026-12-31T12:00:00Z), or V(30d)
        from now. By default never.
    type: str
seealso:
  - module: bulwark.servers.app_control_info
  - module: bulwark.servers.app_allowlist_info
  - module: bulwark.servers.findings
"""

EXAMPLES = r"""
- name: Approve the program of a finding for three months
  bulwark.servers.app_allowlist:
    allowlists: allowlists
    approve: [5f0c3a53-6f7c-5d5f-9d0e-6f1d9d3f0b1a]
    reason: The backup agent of CHG-4711
    until: 90d
  run_once: true

- name: Approve a script that changes often, for one account on two hosts
  bulwark.servers.app_allowlist:
    allowlists: allowlists
    approve: [/opt/reports/nightly.sh]
    hosts: [web1, web2]
    user: reports
    reason: Their team changes it every week
  run_once: true

- name: Take it back
  bulwark.servers.app_allowlist:
    allowlists: allowlists
    approve: [/opt/reports/nightly.sh]
    state: absent
  run_once: true
"""

RETURN = r"""
path:
  description: The file of exceptions.
  returned: success
  type: str
added:
  description: The entries that were added.
  returned: success
  type: list
  elements: dict
removed:
  description: The entries that were removed.
  returned: success
  type: list
  elements: dict
changes:
  description: The findings that were resolved, at most 100.
  returned: when O(state=present)
  type: list
  elements: dict
changes_count:
  description: How many findings were resolved.
  returned: when O(state=present)
  type: int
"""
