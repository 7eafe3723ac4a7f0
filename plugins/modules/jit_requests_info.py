#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_requests_info
short_description: List requests for open ports, who decided, and how they ended
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns requests that M(bulwark.servers.jit_request) has stored, and their history.
  - Options that are not given limit nothing. In O(hosts) and O(requesters), C(*) stands for any text and C(?) for one
    character.
  - The first run that sees that a request's time is over writes this into the store, if the store can be written and
    not in check mode. A clock that goes back later changes nothing about that.
  - The filter P(bulwark.servers.jit_requests_csv#filter) converts them to a table for spreadsheets.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.store
attributes:
  platform:
    support: full
    platforms: all
options:
  gather:
    description: What to return besides RV(counts).
    type: list
    elements: str
    choices: [requests, history]
    default: [requests]
  hosts:
    description:
      - Inventory names of hosts. A name that neither the store nor the inventory has is refused; the error lists
        similar names.
    type: list
    elements: str
    default: []
  states:
    description: Current states.
    type: list
    elements: str
    choices: [requested, approved, denied, opening, open, unknown, closed, expired, replaced]
    default: []
  requesters:
    description:
      - People who asked, or for whom; accounts as well as names. A person who never asked is refused; the error lists
        similar names.
    type: list
    elements: str
    default: []
  ids:
    description: Ids of requests. An id that the store does not have is refused.
    type: list
    elements: str
    default: []
  since:
    description:
      - Only requests made at or after this time.
      - A number of minutes, hours, days or weeks ago (V(90m), V(12h), V(30d), V(4w)), a date, or a date and time
        (V(2026-05-31), V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
    type: str
  until:
    description: Only requests made at or before this time, written like O(since).
    type: str
  limit:
    description: Maximum of requests, and of entries in RV(history), to return. With V(0), all.
    type: int
    default: 1000
  offset:
    description: Number of requests, and of entries in RV(history), to skip first.
    type: int
    default: 0
seealso:
  - module: bulwark.servers.jit_request
  - plugin: bulwark.servers.jit_requests_csv
    plugin_type: filter
"""

EXAMPLES = r"""
- name: List requests that wait for a decision
  bulwark.servers.jit_requests_info:
    states: [requested]
  run_once: true
  register: waiting

- name: Ask who could get into the web servers in the last month, and who let them
  bulwark.servers.jit_requests_info:
    gather: [requests, history]
    hosts: ["web*"]
    since: 30d
  run_once: true
  register: asked
"""

RETURN = r"""
counts:
  description: Number of matching requests by state, regardless of O(limit) and O(offset).
  returned: always
  type: dict
  sample: {requested: 1, approved: 0, denied: 2, opening: 0, open: 1, unknown: 0, closed: 4, expired: 9, replaced: 0}
lines:
  description:
    - The requests as lines for people, with the command that closes each open one, and the id of each one that waits.
      They are safe to paste into a shell.
  returned: when O(gather) has V(requests)
  type: list
  elements: str
requests:
  description: The requests, the newest first. Times are seconds since the epoch.
  returned: when O(gather) has V(requests)
  type: list
  elements: dict
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
history:
  description: The history of the requests, the newest first.
  returned: when O(gather) has V(history)
  type: list
  elements: dict
  contains:
    time:
      description: When it happened.
      returned: always
      type: float
    request:
      description: The id of the request.
      returned: always
      type: str
    host:
      description: The inventory name of the host.
      returned: always
      type: str
    state:
      description: The new state.
      returned: always
      type: str
    actor:
      description: Who did it; empty if its time was over.
      returned: always
      type: str
    account:
      description:
        - The account of the process that did it, from the kernel, or the host that reported it; otherwise none.
      returned: always
      type: str
    login:
      description: The account that signed in for that if it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    asserted:
      description:
        - The source of the name in RV(history[].actor), such as AWX or an option; none if it is the account's own.
      returned: always
      type: str
    reason:
      description: Why; empty if nobody gave a reason.
      returned: always
      type: str
"""
