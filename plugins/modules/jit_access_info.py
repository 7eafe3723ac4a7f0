#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_access_info
short_description: Show locked ports, openings and attempts of a host
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns the policy that M(bulwark.servers.jit_access) has set on a Linux host, the openings with their remaining
    time, earlier openings, and attempts on locked ports.
  - Finds differences between the kernel and the policy, now and after the next boot. They arise if somebody removed or
    changed the rules, or opened a port without a grant.
  - Compares the openings with the requests in the store. An opening that no request covers, or that differs from its
    request, is a finding. The module stores with each request how it ended and how much it was used.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  history:
    description: Maximum of ended grants to return, the newest first. The host keeps 1000, of 8 MB at most.
    type: int
    default: 100
  state_dir:
    description:
      - Absolute path of the directory on the host for policy, grants and history.
      - Defaults to C(/var/lib/bulwark).
    type: path
  store:
    description:
      - Database URL of the store on the controller. The module compares its requests with the openings of the host, and
        updates them from the host. The default store if not given.
      - Not used on the host.
    type: str
notes:
  - For used openings, the kernel counts at most 16384 sources and ports of IPv4 and as many of IPv6 in a week.
  - For attempts on locked ports, the kernel counts at most 16384 sources and ports of IPv4 and as many of IPv6. It
    forgets each a day after the last attempt, which also ends the finding.
seealso:
  - module: bulwark.servers.jit_access
  - module: bulwark.servers.jit_grant
"""

EXAMPLES = r"""
- name: Look who is let in
  bulwark.servers.jit_access_info:
  register: access

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.requested_for }} may reach {{ item.ports | join(', ') }} for {{ item.seconds_left }} s"
  loop: "{{ access.grants }}"
"""

RETURN = r"""
policy:
  description: The policy in the form of M(bulwark.servers.jit_access); none if no port is locked.
  type: dict
  returned: success
in_force:
  description: Whether the kernel has the rules of the policy; no value if that is not known.
  type: bool
  returned: success
grants_in_force:
  description:
    - Whether the kernel has all of RV(grants) open. It has not after somebody flushed all rules.
      M(bulwark.servers.jit_access), and M(bulwark.servers.jit_grant) with the same
      O(bulwark.servers.jit_grant#module:id), restore openings with their remaining time.
    - It has no value if that is not known.
  type: bool
  returned: success
trial_seconds_left:
  description: Remaining seconds of a trial of other rules; V(0) if there is none, and no value if that is not known.
  type: int
  returned: success
grants:
  description:
    - The openings, the first to end comes first. They have the fields of M(bulwark.servers.jit_grant), and C(in_kernel)
      says whether the kernel has all of it open. It has no value if that is not known.
    - C(used) is the traffic through it, with C(packets), C(bytes), and C(last), the time of the last packet in seconds
      since the epoch; C(first) has no value. Traffic that several grants allow counts for each of them. C(used) has no
      value if it is not known, that is after nftables was loaded anew, after a boot, and if the kernel had no room to
      count.
  type: list
  elements: dict
  returned: success
  sample:
    - id: grant-4a1f0c2b9d3e
      requested_for: ada
      requested_by: ada
      reason: Ticket 4711
      ports: ['22']
      protocol: tcp
      sources: [10.1.2.3]
      duration: 3600
      opened: 1767225600.5
      until: 1767229200.5
      digest: null
      seconds_left: 3412
      used: {packets: 41, bytes: 6120, first: null, last: 1767225788.0}
      in_kernel: true
history:
  description:
    - Earlier openings, the newest first. They have the fields of M(bulwark.servers.jit_grant). C(ended) is the time of
      the end in seconds since the epoch, and C(outcome) is C(expired), C(closed), C(replaced) or C(rebooted).
    - C(closed_by) is the person who closed it. C(reason) is why it was closed, or why it was opened if nobody gave a
      reason to close it. C(opened_reason) is always why it was opened.
    - C(used) is as in RV(grants). It is known for a week after a grant was opened, and longer if another one was opened
      since. Until then it includes connections that outlive the grant.
  type: list
  elements: dict
  returned: success
attempts:
  description: Attempts on locked ports, those with most packets first; at most 1000.
  type: list
  elements: dict
  returned: success
  contains:
    source:
      description: The address.
      type: str
      returned: success
    protocol:
      description: V(tcp) or V(udp).
      type: str
      returned: success
    port:
      description: The port.
      type: int
      returned: success
    packets:
      description: Number of packets of new connections, without a day's pause between them.
      type: int
      returned: success
    last:
      description: When the last packet came, in seconds since the epoch.
      type: float
      returned: success
    simulated:
      description:
        - Whether M(bulwark.servers.attack_simulation) sent all of these packets, so that they are in no finding.
      type: bool
      returned: success
other_firewalls:
  description: Other firewalls of the host, which may deny these openings.
  type: list
  elements: str
  returned: success
findings:
  description:
    - OCSF events of attempts, and of rules and openings that differ from the policy or the store. The module returns
      C(detections), and the action plugin converts them to findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - Entries for the scopes V(policy), V(attempts) and V(requests). The last one is the comparison with the store.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.options import collect_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
