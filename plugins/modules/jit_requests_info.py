#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_requests_info
short_description: Ask who wanted ports of hosts opened, who decided, and how it ended
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns requests that M(bulwark.servers.jit_request) keeps in the store, and what happened to them.
  - Options that are not given limit nothing. In O(hosts) and O(requesters), C(*) stands for any text and C(?) for one
    character.
  - That a request's time is over is written into the store by whoever sees it first, where the store can be written and
    not in check mode. A clock that goes back later changes nothing about that.
  - The filter P(bulwark.servers.jit_requests_csv#filter) makes a table for spreadsheets of them.
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
    description: Inventory names of hosts.
    type: list
    elements: str
    default: []
  states:
    description: States as they are now.
    type: list
    elements: str
    choices: [requested, approved, denied, opening, open, unknown, closed, expired, replaced]
    default: []
  requesters:
    description: Who asked, or for whom; the account that asked as well as the name.
    type: list
    elements: str
    default: []
  ids:
    description: Ids of requests.
    type: list
    elements: str
    default: []
  since:
    description:
      - Only what was asked for at or after this.
      - A number of minutes, hours, days or weeks ago (V(90m), V(12h), V(30d), V(4w)), a date, or a date and time
        (V(2026-05-31), V(2026-05-31T12:00:00Z)). Without an offset it is UTC.
    type: str
  until:
    description: Only what was asked for at or before this, written as in O(since).
    type: str
  limit:
    description: How many requests, and entries of RV(history), to return at most. With V(0), all.
    type: int
    default: 1000
  offset:
    description: How many requests, and entries of RV(history), to leave out first.
    type: int
    default: 0
seealso:
  - module: bulwark.servers.jit_request
  - plugin: bulwark.servers.jit_requests_csv
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Ask what waits for a decision
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
  description: How many requests the query is for, by state, O(limit) and O(offset) aside.
  returned: always
  type: dict
  sample: {requested: 1, approved: 0, denied: 2, opening: 0, open: 1, unknown: 0, closed: 4, expired: 9, replaced: 0}
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
history:
  description: What happened to the requests, the newest first.
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
      description: The state that it got.
      returned: always
      type: str
    actor:
      description: Who did it; empty where time did.
      returned: always
      type: str
    account:
      description: The account whose process did it, by the kernel, or the host that says so; otherwise none.
      returned: always
      type: str
    login:
      description: The account that signed in for that, where it is another one, as with sudo; otherwise none.
      returned: always
      type: str
    asserted:
      description: Who says the name RV(history[].actor), such as AWX or an option; none where it is the account's own.
      returned: always
      type: str
    reason:
      description: Why; empty where nobody said.
      returned: always
      type: str
"""
