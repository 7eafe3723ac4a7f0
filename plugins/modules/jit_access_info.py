#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: jit_access_info
short_description: Show what of a host is locked, open, and was tried
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns the policy of just-in-time access that M(bulwark.servers.jit_access) has set on a Linux host, what is open
    and for how long, what was open before, and who tried to reach a locked port.
  - Finds where the kernel does otherwise than the policy says, because somebody has removed or changed the rules, or
    has opened a port beside them, and where it would do so after the next boot.
  - Compares what is open with the requests in the store. An opening that no request covers, or that differs from its
    request, is a finding. What became of requests is recorded with them, as is how much came in.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  history:
    description: How many grants that ended are returned, the newest first. The host keeps 1000, of 8 MB at most.
    type: int
    default: 100
  state_dir:
    description:
      - Directory on the host that holds policy, grants and history, as an absolute path; C(/var/lib/bulwark) when not
        given.
    type: path
  store:
    description:
      - Database URL of the store on the controller, whose requests are compared with what the host has open, and which
        learns from the host what became of them. The default store when not given.
      - Not used on the host.
    type: str
notes:
  - The kernel counts what comes in by grants for at most 16384 sources and ports of IPv4 and as many of IPv6 in a week.
  - The kernel counts attempts on locked ports for at most 16384 sources and ports of IPv4 and as many of IPv6, and
    forgets each a day after the last one. They are no findings any more then.
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
  description: The policy, as M(bulwark.servers.jit_access) takes it; none where no port is locked.
  type: dict
  returned: success
in_force:
  description: Whether the kernel has the rules of the policy; it has no value where that is not known.
  type: bool
  returned: success
grants_in_force:
  description:
    - Whether the kernel has everything open that is in RV(grants). It has not after somebody has flushed all rules;
      M(bulwark.servers.jit_access), and M(bulwark.servers.jit_grant) with the same
      O(bulwark.servers.jit_grant#module:id), bring openings back, each with the time that is left of it.
    - It has no value where that is not known.
  type: bool
  returned: success
trial_seconds_left:
  description: For how long other rules are still on trial; V(0) where none are, and no value where that is not known.
  type: int
  returned: success
grants:
  description:
    - What is open, the one that ends first comes first. Beside the fields of M(bulwark.servers.jit_grant), C(in_kernel)
      says whether the kernel has all of it open. It has no value where that is not known.
    - C(used) is what came in by it, with C(packets), C(bytes), and C(last), when the last packet came, in seconds since
      the epoch; C(first) has no value. What several grants let in counts for each of them. C(used) has no value where
      it is not known. That is so after nftables was loaded anew, after a boot, and where the kernel had no room to
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
    - What was open before, the newest first. Beside the fields of M(bulwark.servers.jit_grant), C(ended) says when it
      ended, in seconds since the epoch, and C(outcome) is C(expired), C(closed), C(replaced) or C(rebooted).
    - C(closed_by) is who closed it. C(reason) is why, or why it was opened where nobody gave a reason to close it, and
      C(opened_reason) is always why it was opened.
    - C(used) is as in RV(grants). It is known for a week after a grant was opened, and longer when another one was
      opened since. Connections that live on are counted as well until then.
  type: list
  elements: dict
  returned: success
attempts:
  description: Who tried to reach locked ports, those with most packets first; at most 1000.
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
      description: How many packets of new connections came, without a day's pause between them.
      type: int
      returned: success
    last:
      description: When the last one came, in seconds since the epoch.
      type: float
      returned: success
other_firewalls:
  description: Other firewalls of the host, which may deny what is open here.
  type: list
  elements: str
  returned: success
findings:
  description:
    - OCSF events of attempts, and of rules that are not as they should be. The module returns them as C(detections),
      which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - Three entries, of the scopes V(policy) and V(attempts), and of V(requests), the comparison with the store.
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
