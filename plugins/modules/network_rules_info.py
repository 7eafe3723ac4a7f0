#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network_rules_info
short_description: Show the network rules of a host, and whom they deny
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Returns the rules that M(bulwark.servers.network_rules) has set on a Linux host, who was denied, or would be in
    audit mode, and who came of those that are recommended for blocking.
  - Finds where the kernel does otherwise than the rules say, because somebody has removed or changed them, or has let
    somebody in beside them.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  state_dir:
    description:
      - Directory on the host that holds the policy, as an absolute path; C(/var/lib/bulwark) when not given.
    type: path
notes:
  - The kernel remembers at most 16384 sources and ports of IPv4 and as many of IPv6, and forgets each a week after it
    came last. When it has no room for more, the coverage says so, and the rest is only counted.
  - Who is let in by rules that were set since is not shown any more. What was remembered in audit mode is forgotten
    when the mode is changed.
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
  description: The policy, as M(bulwark.servers.network_rules) takes it; none where no rules are set.
  type: dict
  returned: success
in_force:
  description: Whether the kernel has the rules of the policy; it has no value where that is not known.
  type: bool
  returned: success
problem:
  description: How the kernel differs from the policy; none where it does not.
  type: str
  returned: success
trial_seconds_left:
  description: For how long other rules are still on trial; V(0) where none are, and no value where that is not known.
  type: int
  returned: success
denied:
  description: Who was denied on ports that the rules name, or would be in audit mode, most packets first; at most 1000.
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
      description: How many packets of new connections came, without a week's pause between them.
      type: int
      returned: success
    first:
      description:
        - When the first one came, or the first one of the last week where they came for longer, in seconds since the
          epoch. None where the kernel had no room to remember it.
      type: float
      returned: success
    last:
      description: When the last one came, in seconds since the epoch.
      type: float
      returned: success
blocked:
  description: Who came of those that are recommended for blocking, with the same fields; at most 1000.
  type: list
  elements: dict
  returned: success
  contains: *source
packets_denied:
  description: How many packets were denied since the rules are there, or would be, also of who is not remembered.
  type: int
  returned: success
packets_blocked:
  description: The same of those that are recommended for blocking.
  type: int
  returned: success
findings:
  description:
    - OCSF events of who was denied, of who is blocked, and of rules that are not as they should be. The module returns
      them as C(detections), which the action plugin turns into findings.
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
