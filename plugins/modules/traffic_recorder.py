#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: traffic_recorder
short_description: Have the kernel record who connects to a host
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Deploys a recorder in the kernel of a Linux host, a table of nftables of its own, C(inet bulwark_traffic). It counts
    which addresses connect to which port, and whether they are answered, and where asked for also whom the host
    connects to. M(bulwark.servers.traffic_info) reads it.
  - It decides about no packet, runs no daemon, and needs no connection tracking, so that it turns none on.
  - It takes a bounded amount of memory. Sources that prove that they are real by taking part in a handshake are counted
    apart from those that may be made up, so that a flood of the latter does not take their place.
  - When settings change, what was counted so far is kept.
  - In check mode it only looks; in diff mode it shows the settings and the rules that they become.
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
      - V(present) has the kernel record.
      - V(absent) removes the recorder. What it has counted so far stays on the host, unless O(purge) is set.
    type: str
    choices: [present, absent]
    default: present
  directions:
    description:
      - V(in), who connects to this host. V(out), whom this host connects to.
    type: list
    elements: str
    choices: [in, out]
    default: [in]
  size:
    description:
      - For how many pairs of address and port each set of the kernel has room, 64 to 65536. What finds no place is
        counted, and told by M(bulwark.servers.traffic_info).
      - An entry takes about 150 bytes, and only where there is one. With V(in) there are 14 sets for each of IPv4 and
        IPv6, and with V(out) six more.
    type: int
    default: 8192
  timeout_days:
    description:
      - After how many days the kernel forgets an address that does not come again, 1 to 60.
      - M(bulwark.servers.traffic_info) has to be run more often than that. Run it daily, as the kernel does not
        remember on which days an address came but for the last.
    type: int
    default: 7
  unrecorded_ports:
    description:
      - Ports of this host that are meant for everybody, such as V(443/tcp). Who visits them is not recorded, as that
        would take the place of everybody else.
    type: list
    elements: str
    default: [80/tcp, 443/tcp, 443/udp, 25/tcp, 53/tcp, 53/udp]
  keep_days:
    description: For how many days the host remembers what was read from the kernel, 1 to 400.
    type: int
    default: 90
  purge:
    description: With O(state=absent), whether the recorded traffic is deleted, too.
    type: bool
    default: false
  state_dir:
    description:
      - Directory on the host that holds what was recorded, as an absolute path; C(/var/lib/bulwark) when not given.
      - It is made with mode C(0700). One that is there already keeps its mode, and is refused unless that is C(0700).
      - It is also refused when others than root can write in it, or in the directories above it, unless these are
        sticky as C(/tmp) is, where nobody else can exchange it.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that reads or changes the same host's recorder.
    type: int
    default: 60
notes:
  - Needs C(nft) on the host, and a kernel with nf_tables of Linux 5.6 or newer.
  - Recorded are TCP, UDP and SCTP of IPv4 and IPv6. The loopback interface, multicast and broadcast are left out.
    Traffic that is sent on, such as to containers and virtual machines, is not recorded.
  - A connection of TCP or SCTP is a packet that begins one; one that is sent again because nobody answered counts
    again. A connection of UDP is all packets between two ends without a pause of three minutes.
  - An address is answered when the handshake was completed, or a packet of UDP went back. With UDP, addresses that are
    made up can't be told from others.
  - What came since the last reading is lost when the host is booted, or all rules of nftables are flushed. The recorder
    itself is there again after a boot, and after nftables is reloaded, where the host has systemd.
  - What is dropped before the hook input, such as in rules of prerouting or by XDP, is not seen.
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
    - The settings that are in force now. Beside those of the options, C(first_ephemeral) is the first port that the
      host's own connections come from.
  type: dict
  returned: success
  sample:
    {directions: [in], size: 8192, timeout_days: 7, unrecorded_ports: [443/tcp], first_ephemeral: 32768}
problem:
  description: How the kernel differed from the settings, where the settings themselves have not changed.
  type: str
  returned: success
survives_reboot:
  description:
    - Whether the recorder is there after the host was booted, which systemd sees to. None where nothing was changed.
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
