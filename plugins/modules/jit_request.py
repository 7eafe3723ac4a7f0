#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_request
short_description: Ask to open ports of a host for a while, and decide about it
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Keeps in the store who asks to open which ports of a host, for whom, from where, for how long and why; who approved
    or denied that; when it was opened, and how that ended. It opens nothing itself; the playbooks
    C(bulwark.servers.jit_open) and C(bulwark.servers.jit_close) do that with it.
  - Each change is from one state to another. From V(requested) a request can become V(approved) or V(denied), from
    V(approved) V(opening) or V(denied), from V(opening) V(open), V(unknown) or V(closed), and from V(open) V(closed) or
    V(replaced). Everything else is refused.
  - A request that was not opened in time (O(valid_for)), and one whose time is over (O(duration)), is V(expired). Who
    first sees that writes it, so that a clock that goes back makes nothing open again.
  - Each step is recorded with the account of the process, as the kernel has it, the account that signed in where that
    is another one (sudo), and the name that AWX or O(actor) says, marked as asserted. Variables and the environment
    change only the last.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
    details:
      - The request of V(requested) is then in no store, and nothing can be done with its id.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Every V(requested) makes another request.
      - V(opening) of one that is opening or open is refused, so that no job opens it for longer than was approved.
  platform:
    support: full
    platforms: all
options:
  state:
    description:
      - V(requested) asks. V(approved) and V(denied) decide; what was approved can be denied until it is open.
      - V(opening) notes that the host is about to be asked, so that nothing is open that nobody knows of. V(open) notes
        that the host has opened it, with O(grant) and O(seconds). What the same person has open on the host for the
        same ports and sources is V(replaced) then.
      - V(unknown) notes that the host did not say whether it is open. One that is V(opening) for five minutes is shown
        as that, too. The next look (M(bulwark.servers.jit_access_info)) finds out.
      - V(closed) notes that somebody ended it, or that the host opened nothing; V(replaced) that another one took its
        place, V(expired) that it was over before its time, as after a reboot of the host.
    type: str
    required: true
    choices: [requested, approved, denied, opening, open, unknown, closed, expired, replaced]
  id:
    description: The id of the request. Required for every O(state) but V(requested).
    type: str
  host:
    description:
      - With O(state=requested) the inventory name of the host. Defaults to the host that the task is for.
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
      - With O(state=requested) the addresses and prefixes that the ports are opened for, IPv4 or IPv6.
      - Defaults to the address from which whoever runs this signed in to the controller over SSH. Where that is not
        known, as in AWX, they have to be given.
    type: list
    elements: str
  duration:
    description:
      - With O(state=requested) how long the ports are open, a number of seconds, or of minutes, hours or days (V(90m),
        V(3h), V(1d)); 5 minutes to 1 day.
    type: str
    default: 3h
  requested_for:
    description: With O(state=requested) the person who is to get in. Defaults to O(actor).
    type: str
  justification:
    description: With O(state=requested) why, at most 1000 characters.
    type: str
  valid_for:
    description:
      - With O(state=requested) how long it may take until it is approved and opened, written as O(duration); at most 30
        days.
    type: str
    default: 1d
  policy:
    description:
      - With O(state=requested) the ports that the host locks, as M(bulwark.servers.jit_access) takes them. What they do
        not allow is refused and not stored. The host checks it again before it opens anything.
    type: list
    elements: dict
  actor:
    description:
      - The name of who does this. Defaults to the AWX user where there is one, otherwise to the account on the
        controller.
      - It is only what somebody says, and marked so in the record. The account is recorded as well, and counts for
        O(approvers) and O(self_approval).
    type: str
  reason:
    description: Why; required for V(denied), otherwise as wanted.
    type: str
    default: ''
  approvers:
    description:
      - With O(state=approved) and O(state=denied) the accounts on the controller that may decide. Any by default.
        Whoever asked may always deny what they asked for themselves.
      - It is compared with the account of the process and the one that signed in, as the kernel has them, and not with
        O(actor) or the AWX user. In AWX all jobs have one account; let AWX decide there who may run the job.
    type: list
    elements: str
    default: []
  self_approval:
    description:
      - With O(state=approved) whether who asked, and for whom they asked, may also approve it. Without it neither the
        name nor the account may be that of who asked.
      - In AWX, where all jobs have one account, set it where AWX itself has somebody else approve.
    type: bool
    default: false
  seconds:
    description:
      - With O(state=open) for how long the host opened it, at most as long as was asked for. Defaults to that.
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
  description: The state before, none for a new request.
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
      description: The ports and ranges of ports.
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
      description: The addresses and prefixes that the ports are opened for.
      returned: always
      type: list
      elements: str
      sample: [192.0.2.7]
    duration:
      description: How many seconds they are open.
      returned: always
      type: int
      sample: 10800
    requested_by:
      description: Who asked.
      returned: always
      type: str
      sample: alice
    requested_for:
      description: For whom.
      returned: always
      type: str
      sample: alice
    justification:
      description: Why.
      returned: always
      type: str
      sample: CHG-4711, the disk is full
    requested_at:
      description: When, in seconds since the epoch.
      returned: always
      type: float
      sample: 1780228800.0
    valid_until:
      description: Until when it can be decided about and opened.
      returned: always
      type: float
      sample: 1780315200.0
    state:
      description: Its state as it is now; V(unknown) where the host did not say whether it is open.
      returned: always
      type: str
      sample: requested
    decided_by:
      description: Who approved or denied it, or none.
      returned: always
      type: str
    decided_at:
      description: When, or none.
      returned: always
      type: float
    decision_reason:
      description: Why, or none.
      returned: always
      type: str
    opened_by:
      description: Who opened it, or none.
      returned: always
      type: str
    opened_at:
      description: When, or none.
      returned: always
      type: float
    until:
      description: When the opening ends or ended by itself, or none.
      returned: always
      type: float
    grant:
      description: The id that the host gave the opening, or none.
      returned: always
      type: str
    ended_by:
      description: Who ended it, or none where time did.
      returned: always
      type: str
    ended_at:
      description: When it ended, or none.
      returned: always
      type: float
    end_reason:
      description: Why, or none.
      returned: always
      type: str
    requested_account:
      description: The account whose process asked, by the kernel; none where that is not known.
      returned: always
      type: str
    requested_login:
      description: The account that signed in for that, where it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    requested_asserted:
      description: Who says the name of C(requested_by), such as AWX or an option; none where it is the account's own.
      returned: always
      type: str
    decided_account:
      description: The account whose process approved or denied it, by the kernel; none where that is not known.
      returned: always
      type: str
    decided_login:
      description: The account that signed in for that, where it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    decided_asserted:
      description: Who says the name of C(decided_by), such as AWX or an option; none where it is the account's own.
      returned: always
      type: str
    opened_account:
      description: The account whose process opened it, by the kernel; none where that is not known.
      returned: always
      type: str
    opened_login:
      description: The account that signed in for that, where it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    opened_asserted:
      description: Who says the name of C(opened_by), such as AWX or an option; none where it is the account's own.
      returned: always
      type: str
    ended_account:
      description: The account whose process ended it, by the kernel; none where that is not known.
      returned: always
      type: str
    ended_login:
      description: The account that signed in for that, where it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    ended_asserted:
      description: Who says the name of C(ended_by), such as AWX or an option; none where it is the account's own.
      returned: always
      type: str
    used_packets:
      description: How many packets came in through the opening by the last look, or none where that is not known.
      returned: always
      type: int
    used_bytes:
      description: How many bytes.
      returned: always
      type: int
    used_first:
      description: When the first came, or none.
      returned: always
      type: float
    used_last:
      description: When the last came, or none.
      returned: always
      type: float
"""
