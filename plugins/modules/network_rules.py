#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network_rules
short_description: Narrow ports of a host to the sources that need them
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Puts rules in force on a Linux host, which prefixes are let in on which ports, and which are blocked on all of them.
    Such rules come from the filter P(bulwark.servers.network_recommendations#filter) and were reviewed by people.
  - On each port that is named, everybody is denied who is in none of its prefixes. A port with prefixes of IPv4 only is
    closed for IPv6, and the other way round. Ports that are not named are left alone.
  - In audit mode nobody is denied. The kernel counts and remembers who would be, and
    M(bulwark.servers.network_rules_info) shows them. Begin with that.
  - The rules are in a table of nftables of their own, C(inet bulwark_network). Rules of others are never changed. What
    this table lets pass, another firewall can still deny.
  - Connections that are established live on. The host itself (C(lo)), ICMP and everything else but TCP and UDP are
    left alone, and so are answers to its requests for an address (DHCP), and packets to broadcast and multicast
    addresses.
  - Nobody is locked out. Rules that deny are on trial first. The action plugin then opens a new connection to the
    host, and only when that gets in are they confirmed. Otherwise the kernel goes back to the rules before, within
    O(confirm_within) seconds, by itself, also when the controller is gone.
  - In check mode it only looks; in diff mode it shows the policy and the rules that it becomes.
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
      - V(present) sets the rules. V(absent) removes them, and what was remembered.
      - A damaged state keeps it from V(present), but not from V(absent), which keeps each damaged file beside, with
        C(.damaged) after its name.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(audit) remembers who would be denied, and denies nobody. V(enforce) denies.
    type: str
    choices: [audit, enforce]
    default: audit
  rules:
    description:
      - Who is let in on which ports. It replaces the rules before as a whole. Needed with O(state=present), unless
        O(blocked) names somebody. No port may be named twice for the same protocol. At most 200.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: A port such as V(22), or a range such as V(8000-8100), as clients know it.
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
        description: Must be true where nobody is let in, as a list of prefixes that is empty by mistake closes a port.
        type: bool
        default: false
  blocked:
    description:
      - Addresses and prefixes that are recommended for blocking, on all ports, at most 4096. They are counted and
        remembered in both modes, and denied with O(mode=enforce).
      - They win over the prefixes of O(rules). A prefix that is let in on a port and within one of these is refused.
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
      - Whether the kernel writes a line to its log for who is denied on a port, or would be, at most six in a minute.
    type: bool
    default: false
  confirm_within:
    description:
      - Seconds within which a new connection must have come in, 10 to 3600. When none has, the task fails, and the
        former rules are in force. Not used with O(mode=audit).
      - During the trial nobody gets in through a port that is open for a while, and flows of UDP to the ports are
        paused, as what ends by itself proves nothing.
    type: int
    default: 60
  state_dir:
    description:
      - Directory on the host that holds the policy, as an absolute path; C(/var/lib/bulwark) when not given.
      - It is made with mode C(0700). One that is there already keeps its mode, and is refused unless that is C(0700).
      - It is also refused when others than root can write in it, or in the directories above it, unless these are
        sticky as C(/tmp) is, where nobody else can exchange it.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that changes the same host's rules.
    type: int
    default: 60
  _confirm:
    description:
      - Which trial is to be confirmed. For the action plugin only, which fills it in.
    type: str
  _withdraw:
    description:
      - Which trial that nobody has confirmed is to be removed. For the action plugin only, which fills it in.
    type: str
  _through_network:
    description:
      - Whether the connection that confirms leads through the network. For the action plugin only, which fills it in.
    type: bool
    default: false
notes:
  - Needs C(nft) on the host, and a kernel with nf_tables of Linux 5.6 or newer.
  - What M(bulwark.servers.jit_grant) opens is let in by these rules, too, for the same time, except for who is blocked.
  - Ports that containers publish are decided on, too, by the port that is published. Other traffic that is forwarded is
    left alone.
  - UDP has no connections. Who was answered within the last minutes lives on, others are taken for new ones.
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
  description: The policy as it is in force now, each prefix in its shortest form.
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
    - Whether the policy is in force for good, as it denies nobody, or as a new connection has come in.
  type: bool
  returned: success
proven:
  description:
    - Whether a new connection from another host has come in by what is in force for good. A port that is open for a
      while lets nobody in during the trial.
    - It is V(false) where the connection does not lead through the network, as with C(local), or comes from the host
      itself.
  type: bool
  returned: when a trial was confirmed
problem:
  description: How the kernel differed from the policy, where the policy itself has not changed.
  type: str
  returned: success
survives_reboot:
  description:
    - Whether the rules are there after the host was booted, which systemd sees to. None where nothing was changed.
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
