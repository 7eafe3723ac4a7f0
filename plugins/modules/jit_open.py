#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_open
short_description: Request, approve, deny and open ports of a host
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Does the work of the playbook C(bulwark.servers.jit_open). Each option is a variable of the playbook without the
    prefix C(jit_), and messages name the variables.
  - It runs on the controller, with the store. For O(step=open) and O(step=all), M(bulwark.servers.jit_grant) opens the
    ports on the host.
  - With O(step=request) it passes the ids as C(jit_request) to the next job of an AWX workflow, as
    M(ansible.builtin.set_stats) does.
  - A request is stored as V(opening) before the module asks the host, and as open when the host has confirmed it. It
    becomes closed only if the host said that it opened nothing. If the connection breaks, or the module crashes, it is
    V(unknown) until a scan of the host finds out its state. The same step again asks the host again.
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
    support: partial
    details:
      - Each O(step=request) and O(step=all) makes another request.
      - A second O(step=approve) or O(step=deny) changes nothing. O(step=open) of an open request is refused.
  platform:
    support: full
    platforms: all
options:
  step:
    description:
      - V(request) asks, V(approve) and V(deny) decide, V(open) opens an approved request.
      - V(all) requests, approves and opens at once, and needs O(self_approval).
    type: str
    choices: [all, request, approve, deny, open]
    default: all
  only_check:
    description: Only check the options and the ids, before a task that uses them on several hosts.
    type: bool
    default: false
  host:
    description: The hosts as the user named them; required for a request, unless there is a limit.
    type: raw
  ports:
    description: Ports and ranges of ports (V(22), V(8000-8100)), as a list or with commas between.
    type: list
    elements: str
    default: []
  protocol:
    description: The protocol of the ports.
    type: str
    choices: [tcp, udp, both]
    default: tcp
  source:
    description:
      - The addresses and prefixes to open the ports for.
      - Defaults to the address from which the person who runs this signed in to the controller over SSH.
    type: list
    elements: str
  duration:
    description: How long the ports are open, as in V(90m) or V(3h).
    type: str
    default: 3h
  justification:
    description: Why; required for a request.
    type: str
  requested_for:
    description: The person who gets in. Defaults to the person who runs this.
    type: str
  valid_for:
    description: How long a request can be approved and opened.
    type: str
    default: 1d
  policy:
    description: The locked ports of the host, in the form of M(bulwark.servers.jit_access).
    type: list
    elements: dict
  request:
    description:
      - Ids of requests to approve, deny or open, as a list or with commas between. Requests of other hosts are ignored.
    type: list
    elements: str
    default: []
  reason:
    description: Why you approve or deny it; required to deny.
    type: str
  approvers:
    description:
      - Accounts on the controller that may approve and deny. By default every account but that of the person who asked.
    type: list
    elements: str
    default: []
  self_approval:
    description: Whether people may approve their own requests.
    type: bool
    default: false
  actor:
    description: The name of the person who runs this. It is recorded as asserted, in addition to the account.
    type: str
  state_dir:
    description: Directory on the host for policy, grants and history.
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

- name: Open an approved request
  bulwark.servers.jit_open:
    step: open
    request: "{{ asked.requests[0].id }}"
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
