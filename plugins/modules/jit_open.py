#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_open
short_description: Request, approve, deny and open ports of a host
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Does what the playbook C(bulwark.servers.jit_open) is asked for. Each option is the variable of the playbook with
    C(jit_) before its name, and messages name those.
  - It runs on the controller, with the store, and for O(step=open) and O(step=all) has M(bulwark.servers.jit_grant)
    open the ports on the host.
  - With O(step=request) it hands on the ids as C(jit_request) to the next job of an AWX workflow, as
    M(ansible.builtin.set_stats) does.
  - A request is noted as V(opening) before the host is asked, and as open when the host has said so. It is closed only
    where the host said that it opened nothing. Where the connection breaks, or the module crashes, it is V(unknown)
    until a look at the host says what became of it; the same step again asks the host again.
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
    support: partial
    details:
      - Each O(step=request) and O(step=all) makes another request.
      - O(step=approve) and O(step=deny) change nothing again. O(step=open) is refused for what is open.
  platform:
    support: full
    platforms: all
options:
  step:
    description:
      - V(request) asks, V(approve) and V(deny) decide, V(open) opens what was approved.
      - V(all) requests, approves and opens at once, and needs O(self_approval).
    type: str
    choices: [all, request, approve, deny, open]
    default: all
  only_check:
    description: Only check the options and the ids, before a task that does it on several hosts.
    type: bool
    default: false
  host:
    description: The hosts as somebody named them; a request needs them named, or a limit.
    type: raw
  ports:
    description: Ports and ranges of ports (V(22), V(8000-8100)), as a list or with commas between.
    type: list
    elements: str
    default: []
  protocol:
    description: Their protocol.
    type: str
    choices: [tcp, udp, both]
    default: tcp
  source:
    description:
      - The addresses and prefixes that they are opened for.
      - Defaults to the address from which whoever runs this signed in to the controller over SSH.
    type: list
    elements: str
  duration:
    description: For how long, as in V(90m) or V(3h).
    type: str
    default: 3h
  justification:
    description: Why; needed for a request.
    type: str
  requested_for:
    description: For which person. Defaults to who runs this.
    type: str
  valid_for:
    description: How long a request waits for being approved and opened.
    type: str
    default: 1d
  policy:
    description: The ports that the host locks, as M(bulwark.servers.jit_access) takes them.
    type: list
    elements: dict
  request:
    description:
      - Ids of requests to approve, deny or open, as a list or with commas between. Those of other hosts are left alone.
    type: list
    elements: str
    default: []
  reason:
    description: Why it is approved or denied; needed to deny.
    type: str
  approvers:
    description: Accounts on the controller that may approve and deny. Any but that of who asked by default.
    type: list
    elements: str
    default: []
  self_approval:
    description: Whether people may approve what they asked for.
    type: bool
    default: false
  actor:
    description: The name of who runs this, which is recorded as asserted, beside the account.
    type: str
  state_dir:
    description: Directory on the host that holds policy, grants and history.
    type: str
seealso:
  - module: bulwark.servers.jit_close
  - module: bulwark.servers.jit_request
"""

EXAMPLES = r"""
- name: Ask for SSH
  bulwark.servers.jit_open:
    step: request
    host: web1
    ports: [22]
    source: [192.0.2.7]
    justification: CHG-4711, the disk is full
  register: asked

- name: Open what somebody else has approved
  bulwark.servers.jit_open:
    step: open
    request: "{{ asked.requests[0].id }}"
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
