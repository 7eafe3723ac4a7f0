#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_grant
short_description: Open locked ports of a host for somebody, for a while
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Opens ports that M(bulwark.servers.jit_access) has locked, for the sources that are named and no others, or closes
    them again before their time.
  - The kernel itself ends an opening when its time is over. Nothing needs to run for that, neither on the controller
    nor on the host.
  - What the policy of the host does not allow is refused there, whatever was approved elsewhere.
  - The host notes a grant before its ports are open, and until they are closed, so that nothing is open that it does
    not name. After that the kernel is asked whether it has what it was told. When a task fails and says that it is not
    known whether a grant is open, O(state=closed) with its O(id) closes it.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - What is opened or closed is in the result.
  idempotent:
    support: partial
    details:
      - With O(id), what is open under it stays as it is, and is opened again for the time that is left where somebody
        has flushed the rules, or a run was killed before it was done. Without one, the same request again begins anew,
        and replaces what is open.
options:
  state:
    description:
      - V(open) opens ports. A newer request of the same person for the same ports and sources replaces the older one.
      - V(closed) closes what is open under O(id), or everything that matches all of O(requested_for), O(ports) and
        O(sources) that are given.
    type: str
    choices: [open, closed]
    default: open
  id:
    description:
      - What the grant is called, such as the id of the request that was approved. One is made up when none is given.
      - An id is good for one opening. What has ended is not opened again under the same id, and what is open under it
        is not changed. Other ports, sources, people and digests, another protocol, and a longer time are refused.
    type: str
  ports:
    description: Ports and ranges of ports. Needed with O(state=open).
    type: list
    elements: str
  protocol:
    description: The protocol of the ports.
    type: str
    choices: [tcp, udp, both]
    default: tcp
  sources:
    description:
      - Addresses and prefixes of IPv4 and IPv6 to open them for. Needed with O(state=open).
      - As many addresses as a C(/7) of IPv4 or a C(/15) of IPv6 has, in one prefix or in several together, are refused
        where the policy leaves the sources of a port out. A policy that names such prefixes in its C(sources) allows
        them.
    type: list
    elements: str
  duration:
    description:
      - For how many seconds, at least 300. As long as the policy allows when not given.
    type: int
  requested_for:
    description: The person that the ports are opened for; O(requested_by) when not given.
    type: str
  requested_by:
    description: The person who asks; whoever runs Ansible when not given.
    type: str
  reason:
    description:
      - Why. With O(state=closed), why it is closed; the reason why it was opened is kept beside it.
    type: str
  digest:
    description:
      - The SHA-256 of the request that was approved, as 64 hexadecimal digits. The host keeps it with the grant, so
        that both can be compared.
    type: str
  closed_by:
    description: The person who closes it, with O(state=closed); whoever runs Ansible when not given.
    type: str
  other_firewalls:
    description:
      - What to do when another firewall of the host is sure to deny what would be opened. V(fail) opens nothing,
        V(warn) opens and says so.
      - Where firewalld denies it, it is opened there, too, for the same time.
    type: str
    choices: [fail, warn]
    default: fail
  state_dir:
    description:
      - Directory on the host that holds policy, grants and history, as an absolute path; C(/var/lib/bulwark) when not
        given.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that changes the same host's policy or grants.
    type: int
    default: 60
seealso:
  - module: bulwark.servers.jit_access
  - module: bulwark.servers.jit_access_info
"""

EXAMPLES = r"""
- name: Open SSH for an hour
  bulwark.servers.jit_grant:
    ports: [22]
    sources: [10.1.2.3]
    duration: 3600
    requested_for: ada
    reason: Ticket 4711
  register: opened

- name: Close it again
  bulwark.servers.jit_grant:
    state: closed
    id: "{{ opened.id }}"
"""

RETURN = r"""
id:
  description: What the grant is called.
  type: str
  returned: success and O(state=open)
grant:
  description: The grant.
  type: dict
  returned: success and O(state=open)
  contains: &grant
    id:
      description: What it is called.
      type: str
      returned: success
    requested_for:
      description: The person that it is for.
      type: str
      returned: success
    requested_by:
      description: The person who asked.
      type: str
      returned: success
    reason:
      description: Why.
      type: str
      returned: success
    ports:
      description: Ports and ranges of ports.
      type: list
      elements: str
      returned: success
    protocol:
      description: V(tcp), V(udp) or V(both).
      type: str
      returned: success
    sources:
      description: Addresses and prefixes.
      type: list
      elements: str
      returned: success
    duration:
      description: For how many seconds it was opened.
      type: int
      returned: success
    opened:
      description: When it was opened, in seconds since the epoch.
      type: float
      returned: success
    until:
      description: When it ends, in seconds since the epoch by the clock of the host at that time.
      type: float
      returned: success
    digest:
      description: The SHA-256 of the request that was approved; none where nobody gave one.
      type: str
      returned: success
    seconds_left:
      description: How many seconds are left, whatever the clock says.
      type: int
      returned: success
replaced:
  description: The ids of grants whose place it took.
  type: list
  elements: str
  returned: success and O(state=open)
denied_by:
  description: What other firewalls of the host deny or may deny of it, one sentence each.
  type: list
  elements: str
  returned: O(state=open)
refused:
  description:
    - Whether the task failed because the policy of the host does not allow what was asked for, or because the id is
      that of something else. Nothing was changed then.
  type: bool
  returned: failure
closed:
  description: The grants that were closed.
  type: list
  elements: dict
  returned: success and O(state=closed)
  contains: *grant
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.apply_grant import apply
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.options import grant_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=grant_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
