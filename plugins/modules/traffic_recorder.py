#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: traffic_recorder
short_description: Have the kernel record who connects to a host
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Deploys a recorder in the kernel of a Linux host, a separate table of nftables, C(inet bulwark_traffic). It counts
    which addresses connect to which port, and whether they are answered. With O(directions), it also counts the
    addresses that the host connects to. M(bulwark.servers.traffic_info) reads it.
  - It drops no packet, runs no daemon, and neither needs nor turns on connection tracking.
  - Its memory is limited. Sources that completed a handshake are real, and are counted apart from those that may be
    made up. So a flood of made-up sources does not displace them.
  - Changed settings keep all counts.
  - Check mode changes nothing. Diff mode shows the settings and their rules.
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
      - V(present) deploys the recorder.
      - V(absent) removes the recorder. The recorded traffic stays on the host, unless O(purge) is set.
    type: str
    choices: [present, absent]
    default: present
  directions:
    description:
      - V(in) records the addresses that connect to this host. V(out) records the addresses that this host connects to.
    type: list
    elements: str
    choices: [in, out]
    default: [in]
  size:
    description:
      - Pairs of address and port that each set of the kernel has room for, 64 to 65536. Packets without a place are
        counted, and M(bulwark.servers.traffic_info) has their number.
      - An entry takes about 150 bytes, and an empty place none. With V(in) there are 14 sets for each of IPv4 and IPv6,
        and with V(out) six more.
    type: int
    default: 8192
  timeout_days:
    description:
      - Days after which the kernel forgets an address that does not come again, 1 to 60.
      - Run M(bulwark.servers.traffic_info) more often than that, best every day. The kernel remembers only the last day
        on which an address came.
    type: int
    default: 7
  unrecorded_ports:
    description:
      - Ports of this host that are meant for everybody, such as V(443/tcp). Their visitors are not recorded, as they
        would fill the sets.
    type: list
    elements: str
    default: [80/tcp, 443/tcp, 443/udp, 25/tcp, 53/tcp, 53/udp]
  keep_days:
    description: Days for which the host remembers the traffic, 1 to 400.
    type: int
    default: 90
  purge:
    description: With O(state=absent), whether the recorded traffic is deleted, too.
    type: bool
    default: false
  state_dir:
    description:
      - Absolute path of the directory on the host for the recorded traffic. Defaults to C(/var/lib/bulwark).
      - A new directory gets mode C(0700). An existing one must have mode C(0700), and is refused otherwise.
      - It is also refused if another account than root can write to it, or to a directory above it that is not sticky
        as C(/tmp) is.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that reads or changes the same host's recorder.
    type: int
    default: 60
notes:
  - Needs C(nft) on the host, and a kernel with nf_tables of Linux 5.6 or newer.
  - It records TCP, UDP and SCTP of IPv4 and IPv6. It leaves out the loopback interface, multicast and broadcast, and
    forwarded traffic such as that of containers and virtual machines.
  - Each packet that begins a connection of TCP or SCTP counts as one, even if it is sent again because nobody answered.
    A connection of UDP is all packets between two ends without a pause of three minutes.
  - An address counts as answered after a completed handshake, or after a packet of UDP in return. With UDP, made-up
    addresses look like others.
  - A boot of the host, and a flush of all nftables rules, lose the counts since the last reading. On hosts with
    systemd, the recorder itself is loaded again after a boot and after a reload of nftables.
  - The recorder does not see packets that are dropped before the input hook, such as by prerouting rules or by XDP.
seealso:
  - module: bulwark.servers.traffic_info
"""

EXAMPLES = r"""
- name: Record who connects
  bulwark.servers.traffic_recorder:

- name: Record both directions, and everybody who visits the web server
  bulwark.servers.traffic_recorder:
    directions: [in, out]
    size: 65536
    unrecorded_ports: []

- name: Remove the recorder and all it has recorded
  bulwark.servers.traffic_recorder:
    state: absent
    purge: true
"""

RETURN = r"""
recorder:
  description:
    - The settings in force. In addition to the options, C(first_ephemeral) is the first port of the host's own
      connections.
  type: dict
  returned: success
  sample:
    {directions: [in], size: 8192, timeout_days: 7, unrecorded_ports: [443/tcp], first_ephemeral: 32768}
problem:
  description: How the kernel differed from unchanged settings.
  type: str
  returned: success
survives_reboot:
  description:
    - Whether systemd loads the recorder at the next boot. None if nothing was changed.
  type: bool
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.apply import apply
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.options import apply_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
