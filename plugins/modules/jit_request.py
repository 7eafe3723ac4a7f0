#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_request
short_description: Ask to open ports of a host for a limited time, and decide on it
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Stores who asks to open which ports of a host, for whom, from where, for how long and why. It also stores who
    approved or denied that, when it was opened, and how it ended. It opens nothing itself; the playbooks
    C(bulwark.servers.jit_open) and C(bulwark.servers.jit_close) use it for that.
  - A request can change from V(requested) to V(approved) or V(denied), and from V(approved) to V(opening) or V(denied).
    It can change from V(opening) to V(open), V(unknown), V(closed) or V(replaced), from V(open) to V(unknown),
    V(closed) or V(replaced), and from V(unknown) to V(opening), V(open), V(closed) or V(replaced). A request can become
    V(expired) until it has ended. Every other change is refused.
  - A request becomes V(expired) if it was not opened in time (O(valid_for)), or if its time is over (O(duration)). The
    first run that sees this stores it, so that a clock that goes back reopens nothing.
  - Each step is recorded with the account of the process from the kernel, the account that signed in if it is another
    one (sudo), and the name from AWX or O(actor), marked as asserted. Variables and the environment change only the
    last.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
    details:
      - In check mode the new request is not stored, so its id cannot be used.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Every V(requested) makes another request.
      - V(opening) is refused for a request that is opening or open, so that no job opens it for longer than was
        approved.
  platform:
    support: full
    platforms: all
options:
  state:
    description:
      - V(requested) asks. V(approved) and V(denied) decide. An approved request can be denied until it is open.
      - V(opening) records that the host is about to be asked, so that no opening is unrecorded. V(open) records that
        the host has opened it, with O(grant) and O(seconds). Other openings of the same person on the host for the same
        ports and sources become V(replaced).
      - V(unknown) records that the host did not say whether it is open. A request that is V(opening) for five minutes
        also counts as V(unknown). The next run of M(bulwark.servers.jit_access_info) finds out.
      - V(closed) records that somebody ended it, or that the host opened nothing. V(replaced) records that another
        request took its place. V(expired) records that it ended before its time without a person, as after a reboot of
        the host.
    type: str
    required: true
    choices: [requested, approved, denied, opening, open, unknown, closed, expired, replaced]
  id:
    description: The id of the request. Required for every O(state) but V(requested).
    type: str
  host:
    description:
      - With O(state=requested) the inventory name of the host. Defaults to the host of the task.
    type: str
  ports:
    description:
      - With O(state=requested) the ports and ranges of ports (V(22), V(8000-8100)), as a list or with commas between.
    type: list
    elements: str
  protocol:
    description: With O(state=requested) the protocol of the ports.
    type: str
    choices: [tcp, udp, both]
    default: tcp
  sources:
    description:
      - With O(state=requested) the addresses and prefixes to open the ports for, IPv4 or IPv6.
      - Defaults to the address from which the person who runs this signed in to the controller over SSH. If that is not
        known, as in AWX, the option is required.
    type: list
    elements: str
  duration:
    description:
      - With O(state=requested) how long the ports are open. A number of seconds, or of minutes, hours or days (V(90m),
        V(3h), V(1d)); 5 minutes to 1 day.
    type: str
    default: 3h
  requested_for:
    description: With O(state=requested) the person who gets in. Defaults to O(actor).
    type: str
  justification:
    description: With O(state=requested) why, at most 1000 characters.
    type: str
  valid_for:
    description:
      - With O(state=requested) how long it can be approved and opened, written like O(duration); at most 30 days.
    type: str
    default: 1d
  policy:
    description:
      - With O(state=requested) the locked ports of the host, in the form of M(bulwark.servers.jit_access). A request
        that they do not allow is refused and not stored. The host checks again before it opens anything.
    type: list
    elements: dict
  actor:
    description:
      - The name of the person who does this. Defaults to the AWX user if there is one, otherwise to the account on the
        controller.
      - It is only an assertion, and the record marks it so. The account is recorded as well, and decides about
        O(approvers) and O(self_approval).
    type: str
  reason:
    description: Why; required for V(denied), otherwise optional.
    type: str
    default: ''
  approvers:
    description:
      - With O(state=approved) and O(state=denied) the accounts on the controller that may decide. Any by default.
        People may always deny their own requests.
      - The module compares them with the account of the process and the one that signed in, as the kernel reports them,
        and not with O(actor) or the AWX user. All AWX jobs have one account; let AWX decide there who may run the job.
    type: list
    elements: str
    default: []
  self_approval:
    description:
      - With O(state=approved) whether the person who asked, and the person it is for, may also approve it. Without it
        neither the name nor the account may be that of the person who asked.
      - All AWX jobs have one account, so set it if AWX itself requires another person to approve.
    type: bool
    default: false
  seconds:
    description:
      - With O(state=open) for how many seconds the host opened it. By default and at most O(duration).
    type: int
  grant:
    description: With O(state=open) the id of the opening on the host.
    type: str
seealso:
  - module: bulwark.servers.jit_requests_info
"""

EXAMPLES = r"""
- name: Ask for SSH
  bulwark.servers.jit_request:
    state: requested
    ports: [22]
    sources: [192.0.2.7]
    duration: 2h
    justification: CHG-4711, the disk is full
  register: asked

- name: Approve it, as somebody else
  bulwark.servers.jit_request:
    state: approved
    id: "{{ asked.request.id }}"
    reason: Known incident
    approvers: [bob, carol]
  run_once: true

- name: Deny a request
  bulwark.servers.jit_request:
    state: denied
    id: 2f4b8f0e-8f52-4c39-9a65-0c2a7f3ad1de
    reason: Use the bastion host
  run_once: true
"""

RETURN = r"""
before:
  description: The former state; none for a new request.
  returned: always
  type: str
  sample: requested
replaced:
  description: The ids of requests that this one replaced.
  returned: always
  type: list
  elements: str
request:
  description: The request. In check mode a new one has no id, as it is not stored.
  returned: always
  type: dict
  contains:
    id:
      description: Its id.
      returned: always
      type: str
      sample: 2f4b8f0e-8f52-4c39-9a65-0c2a7f3ad1de
    host:
      description: The inventory name of the host.
      returned: always
      type: str
      sample: web1
    ports:
      description: The ports and port ranges.
      returned: always
      type: list
      elements: str
      sample: ["22", 8000-8100]
    protocol:
      description: V(tcp), V(udp) or V(both).
      returned: always
      type: str
      sample: tcp
    sources:
      description: The addresses and prefixes to open the ports for.
      returned: always
      type: list
      elements: str
      sample: [192.0.2.7]
    duration:
      description: How long the ports are open, in seconds.
      returned: always
      type: int
      sample: 10800
    requested_by:
      description: Who asked.
      returned: always
      type: str
      sample: alice
    requested_for:
      description: The person who gets in.
      returned: always
      type: str
      sample: alice
    justification:
      description: Why they asked.
      returned: always
      type: str
      sample: CHG-4711, the disk is full
    requested_at:
      description: When they asked, in seconds since the epoch.
      returned: always
      type: float
      sample: 1780228800.0
    valid_until:
      description: Until when it can be decided and opened.
      returned: always
      type: float
      sample: 1780315200.0
    state:
      description: Its current state; V(unknown) if the host did not say whether it is open.
      returned: always
      type: str
      sample: requested
    decided_by:
      description: Who approved or denied it, or none.
      returned: always
      type: str
    decided_at:
      description: When it was decided, or none.
      returned: always
      type: float
    decision_reason:
      description: Why it was approved or denied, or none.
      returned: always
      type: str
    opened_by:
      description: Who opened it, or none.
      returned: always
      type: str
    opened_at:
      description: When it was opened, or none.
      returned: always
      type: float
    until:
      description: When the time of the opening is over, or none.
      returned: always
      type: float
    grant:
      description: The id that the host gave the opening, or none.
      returned: always
      type: str
    ended_by:
      description: Who ended it, or none if its time was over.
      returned: always
      type: str
    ended_at:
      description: When it ended, or none.
      returned: always
      type: float
    end_reason:
      description: Why it ended, or none.
      returned: always
      type: str
    requested_account:
      description: The account of the process that asked, from the kernel; none if that is not known.
      returned: always
      type: str
    requested_login:
      description: The account that signed in for that if it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    requested_asserted:
      description: The source of the name in C(requested_by), such as AWX or an option; none if it is the account's own.
      returned: always
      type: str
    decided_account:
      description: The account of the process that approved or denied it, from the kernel; none if that is not known.
      returned: always
      type: str
    decided_login:
      description: The account that signed in for that if it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    decided_asserted:
      description: The source of the name in C(decided_by), such as AWX or an option; none if it is the account's own.
      returned: always
      type: str
    opened_account:
      description: The account of the process that opened it, from the kernel; none if that is not known.
      returned: always
      type: str
    opened_login:
      description: The account that signed in for that if it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    opened_asserted:
      description: The source of the name in C(opened_by), such as AWX or an option; none if it is the account's own.
      returned: always
      type: str
    ended_account:
      description: The account of the process that ended it, from the kernel; none if that is not known.
      returned: always
      type: str
    ended_login:
      description: The account that signed in for that if it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    ended_asserted:
      description: The source of the name in C(ended_by), such as AWX or an option; none if it is the account's own.
      returned: always
      type: str
    used_packets:
      description: Number of packets through the opening at the last scan, or none if that is not known.
      returned: always
      type: int
    used_bytes:
      description: Number of bytes through the opening, or none.
      returned: always
      type: int
    used_first:
      description: When the first packet came, or none.
      returned: always
      type: float
    used_last:
      description: When the last packet came, or none.
      returned: always
      type: float
"""
