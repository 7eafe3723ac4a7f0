#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network_rules
short_description: Narrow ports of a host to the sources that need them
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Puts rules in force on a Linux host. They say which prefixes are let in on which ports, and which are blocked on all
    ports. The filter P(bulwark.servers.network_recommendations#filter) recommends such rules, and people review them.
  - A port with a rule denies every source outside of its prefixes. A port with IPv4 prefixes only is closed for IPv6,
    and the other way round. Ports without a rule stay as they are.
  - In audit mode nobody is denied. The kernel counts and remembers the sources that it would deny, and
    M(bulwark.servers.network_rules_info) shows them. Begin with this mode.
  - The rules are in a separate table of nftables, C(inet bulwark_network). The module never changes rules of others.
    Another firewall can still deny what this table accepts.
  - Established connections go on. The rules do not touch the host's own traffic (C(lo)), ICMP, protocols other than TCP
    and UDP, answers to DHCP, and packets to broadcast and multicast addresses.
  - Nobody is locked out. Rules that deny are on trial first. The action plugin opens a new connection to the host, and
    confirms the rules if it gets in. Otherwise the kernel goes back to the former rules by itself, within
    O(confirm_within) seconds, even if the controller is gone.
  - Check mode changes nothing. Diff mode shows the policy and its rules.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) sets the rules. V(absent) removes them and the remembered sources.
      - Damaged state files make V(present) fail. V(absent) renames each damaged file by adding C(.damaged) to its name.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(audit) remembers the sources that would be denied, and denies nobody. V(enforce) denies them.
    type: str
    choices: [audit, enforce]
    default: audit
  rules:
    description:
      - The sources to let in on each port, at most 200 rules. They replace all former rules. Required with
        O(state=present), unless O(blocked) is given. No port may occur twice for the same protocol.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The port that clients use, such as V(22), or a range such as V(8000-8100).
        type: str
        required: true
      protocol:
        description: The protocol of the ports.
        type: str
        choices: [tcp, udp, both]
        default: tcp
      prefixes:
        description: Addresses and prefixes of IPv4 and IPv6 that are let in, at most 256.
        type: list
        elements: str
        default: []
      closed:
        description:
          - Must be true for a rule without prefixes, because it closes the port. This catches a list that is empty by
            mistake.
        type: bool
        default: false
  blocked:
    description:
      - Addresses and prefixes that are recommended for blocking, at most 4096. Their packets are counted and remembered
        in both modes, and denied on all ports with O(mode=enforce).
      - They win over the prefixes of O(rules). A rule with a prefix inside a blocked one is refused.
    type: list
    elements: str
    default: []
  always_allow:
    description:
      - Addresses and prefixes that are never denied, such as that of the controller. They win over O(blocked).
    type: list
    elements: str
    default: []
  log:
    description:
      - Whether the kernel logs packets that are denied on a port, or would be, at most six a minute.
    type: bool
    default: false
  confirm_within:
    description:
      - Seconds within which a new connection must get in, 10 to 3600. Otherwise the task fails and the former rules are
        in force. Not used with O(mode=audit).
      - During the trial a temporary opening alone lets nobody in, and UDP flows to the ports pause. Both end by
        themselves, so they prove nothing.
    type: int
    default: 60
  state_dir:
    description:
      - Absolute path of the directory on the host for the policy. Defaults to C(/var/lib/bulwark).
      - A new directory gets mode C(0700). An existing one must have mode C(0700), and is refused otherwise.
      - It is also refused if another account than root can write to it, or to a directory above it that is not sticky
        as C(/tmp) is.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that changes the same host's rules.
    type: int
    default: 60
  _confirm:
    description:
      - Set by the action plugin. The trial to confirm.
    type: str
  _withdraw:
    description:
      - Set by the action plugin. The unconfirmed trial to remove.
    type: str
  _through_network:
    description:
      - Set by the action plugin. Whether the confirming connection leads through the network.
    type: bool
    default: false
notes:
  - Needs C(nft) on the host, and a kernel with nf_tables of Linux 5.6 or newer.
  - An opening of M(bulwark.servers.jit_grant) is open in these rules for the same time, except for blocked sources.
  - Rules also decide about ports that containers publish, by the published port. Other forwarded traffic passes.
  - UDP has no connections. Flows that were answered within the last minutes go on; others are new.
seealso:
  - module: bulwark.servers.network_rules_info
  - plugin: bulwark.servers.network_recommendations
    plugin_type: filter
"""

EXAMPLES = r"""
- name: See for some days who would be denied
  bulwark.servers.network_rules:
    rules:
      - port: 22
        prefixes: [10.0.0.0/8, 2001:db8::/32]
      - port: 5432
        prefixes: [10.1.2.0/24]
      - port: 23
        closed: true
    blocked: [203.0.113.0/24]
    always_allow: [10.0.0.5]

- name: Deny them
  bulwark.servers.network_rules:
    mode: enforce
    rules:
      - port: 22
        prefixes: [10.0.0.0/8, 2001:db8::/32]
    always_allow: [10.0.0.5]

- name: Take the rules away
  bulwark.servers.network_rules:
    state: absent
"""

RETURN = r"""
policy:
  description: The policy in force, each prefix in its shortest form.
  type: dict
  returned: success
  sample:
    mode: audit
    rules:
      - {port: '22', protocol: tcp, prefixes: [10.0.0.0/8], closed: false}
    blocked: []
    always_allow: [10.0.0.5]
    log: false
confirmed:
  description:
    - Whether the policy is in force for good, because it denies nobody or a new connection got in.
  type: bool
  returned: success
proven:
  description:
    - Whether a new connection from another host got in by the permanent rules. Temporary openings let nobody in during
      the trial.
    - It is V(false) if the connection does not lead through the network, as with C(local), or comes from the host
      itself.
  type: bool
  returned: when a trial was confirmed
problem:
  description: How the kernel differed from an unchanged policy.
  type: str
  returned: success
survives_reboot:
  description:
    - Whether systemd loads the rules at the next boot. None if nothing was changed.
  type: bool
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.apply import apply
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.options import apply_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
