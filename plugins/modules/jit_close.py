#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_close
short_description: Close ports of a host before their time is over
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Does the work of the playbook C(bulwark.servers.jit_close). Each option is a variable of the playbook without the
    prefix C(jit_), and messages name the variables.
  - The host closes first, with M(bulwark.servers.jit_grant), whatever the state of the store. If the store cannot be
    read or written, the module warns. The host then stores who closed what and why, and the next run of
    M(bulwark.servers.jit_access_info) records it.
  - Without O(request) it closes all openings of the host, including those that the store does not know.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The result lists the actions in sentences.
  idempotent:
    support: full
    details:
      - It does not close an opening twice.
  platform:
    support: full
    platforms: all
options:
  only_check:
    description: Only check the options and the ids, before a task that uses them on several hosts.
    type: bool
    default: false
  host:
    description: The hosts as the user named them; required without O(request), unless there is a limit.
    type: raw
  request:
    description:
      - Ids of requests, or of openings without a request, as a list or with commas between. All openings by default.
    type: list
    elements: str
    default: []
  requested_for:
    description: Only openings for this person.
    type: str
  reason:
    description: Why, for the record.
    type: str
    default: ''
  actor:
    description: The name of the person who runs this. It is recorded as asserted, in addition to the account.
    type: str
  state_dir:
    description: Directory on the host for policy, grants and history.
    type: str
seealso:
  - module: bulwark.servers.jit_open
  - module: bulwark.servers.jit_grant
"""

EXAMPLES = r"""
- name: Close a request
  bulwark.servers.jit_close:
    request: 2f4b8f0e-8f52-4c39-9a65-0c2a7f3ad1de
    reason: done
"""

RETURN = r"""
messages:
  description: The actions, in sentences.
  returned: always
  type: list
  elements: str
requests:
  description: The affected requests, as M(bulwark.servers.jit_requests_info) returns them.
  returned: always
  type: list
  elements: dict
"""
