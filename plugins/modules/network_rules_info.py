#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network_rules_info
short_description: Show the network rules of a host, and the sources that they deny
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns the rules that M(bulwark.servers.network_rules) has set on a Linux host. Returns the sources that were
    denied, or would be in audit mode, and the sources that came although they are recommended for blocking.
  - Finds differences between the kernel and the rules, such as rules that somebody removed or changed, and sources that
    no grant covers.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  state_dir:
    description:
      - Absolute path of the directory on the host for the policy. Defaults to C(/var/lib/bulwark).
    type: path
notes:
  - The kernel remembers at most 16384 pairs of source and port for IPv4, and as many for IPv6. It forgets each a week
    after its last packet. If it has no room for more, the coverage says so, and other packets are only counted.
  - Sources that newer rules let in are not shown any more. A change of the mode deletes the remembered sources of audit
    mode.
seealso:
  - module: bulwark.servers.network_rules
"""

EXAMPLES = r"""
- name: Look who would be denied
  bulwark.servers.network_rules_info:
  register: seen

- name: Show them
  ansible.builtin.debug:
    msg: "{{ item.source }} came {{ item.packets }} times to port {{ item.port }}"
  loop: "{{ seen.denied }}"
"""

RETURN = r"""
policy:
  description: The policy, as M(bulwark.servers.network_rules) takes it. None if no rules are set.
  type: dict
  returned: success
in_force:
  description: Whether the kernel has the rules of the policy. None if this is not known.
  type: bool
  returned: success
problem:
  description: How the kernel differs from the policy. None if it does not.
  type: str
  returned: success
trial_seconds_left:
  description: Seconds for which other rules are still on trial. V(0) without a trial, none if this is not known.
  type: int
  returned: success
denied:
  description:
    - Sources that were denied on ports with rules, or would be in audit mode, most packets first. At most 1000.
  type: list
  elements: dict
  returned: success
  contains: &source
    source:
      description: The address.
      type: str
      returned: success
    protocol:
      description: V(tcp) or V(udp).
      type: str
      returned: success
    port:
      description: The port, as the source knows it.
      type: int
      returned: success
    packets:
      description: The number of packets of new connections, without a week's pause between them.
      type: int
      returned: success
    first:
      description:
        - The time of the first packet within the last week, in seconds since the epoch. None if the kernel had no room
          to remember it.
      type: float
      returned: success
    last:
      description: The time of the last packet, in seconds since the epoch.
      type: float
      returned: success
    simulated:
      description:
        - Whether M(bulwark.servers.attack_simulation) sent all of these packets, so that they are in no finding.
      type: bool
      returned: success
blocked:
  description: Sources that came and are recommended for blocking, with the same fields. At most 1000.
  type: list
  elements: dict
  returned: success
  contains: *source
packets_denied:
  description:
    - The number of packets that were denied since the rules were set, or would be, including those of forgotten
      sources.
  type: int
  returned: success
packets_blocked:
  description: The same number for sources that are recommended for blocking.
  type: int
  returned: success
findings:
  description:
    - OCSF events of denied sources, of blocked sources, and of rules that are not in force. The module returns them as
      C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description: Two entries, of the scopes V(rules) and V(denied).
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.options import collect_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
