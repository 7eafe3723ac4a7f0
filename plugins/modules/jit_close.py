#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_close
short_description: Close ports of a host before their time is over
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Does what the playbook C(bulwark.servers.jit_close) is asked for. Each option is the variable of the playbook with
    C(jit_) before its name, and messages name those.
  - The host closes first, with M(bulwark.servers.jit_grant), whatever the store does. Where the store cannot be read or
    written, that is a warning; the host keeps who closed what and why, and the next look
    (M(bulwark.servers.jit_access_info)) records it.
  - Without O(request) it closes all that is open on the host, also what the store does not know of.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - What was done is in the result, in sentences.
  idempotent:
    support: full
    details:
      - What is closed is not closed again.
  platform:
    support: full
    platforms: all
options:
  only_check:
    description: Only check the options and the ids, before a task that does it on several hosts.
    type: bool
    default: false
  host:
    description: The hosts as somebody named them; needed without O(request), unless there is a limit.
    type: raw
  request:
    description:
      - Ids of requests, or of openings that have none, as a list or with commas between. All that is open by default.
    type: list
    elements: str
    default: []
  requested_for:
    description: Only what is open for this person.
    type: str
  reason:
    description: Why, for the record.
    type: str
    default: ''
  actor:
    description: The name of who runs this, which is recorded as asserted, beside the account.
    type: str
  state_dir:
    description: Directory on the host that holds policy, grants and history.
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
  description: What was done, in sentences.
  returned: always
  type: list
  elements: str
requests:
  description: The requests that this was about, as M(bulwark.servers.jit_requests_info) returns them.
  returned: always
  type: list
  elements: dict
"""
