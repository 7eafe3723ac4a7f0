#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: traffic_info
short_description: Show who connects to a host, and which of its ports are more open than needed
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads the new counts of the recorder that M(bulwark.servers.traffic_recorder) deployed on a Linux host, and adds
    them to the traffic that the host remembers. Each connection counts once, even if a reading is interrupted.
  - Reads flow records on the host, too. They spare a host with recorded history the weeks of waiting.
  - Lists the ports that the host listens on, with the process, and whether its firewalls let everybody in.
  - With enough traffic, recommends the sources to let in, as P(bulwark.servers.network_recommendations#filter) does.
    Finds ports that nobody needs, and ports that are open to the whole world and needed by few.
  - In check mode the counts are not kept, and the next run reads them again.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  keep_days:
    description: Days for which the host remembers traffic, 1 to 400.
    type: int
    default: 90
  imports:
    description:
      - Flow records on the host. Each record counts once, even if its file is read again, has grown, was renamed or
        compressed with gzip.
      - Connections that the recorder counted itself are left out.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path of a file or a directory. All files of a directory are read, but links in it are not followed.
        type: path
        required: true
      format:
        description:
          - V(conntrack) is the output of C(conntrack -L). V(aws_vpc) are flow logs of AWS VPCs. V(azure_vnet) and
            V(azure_nsg) are flow logs of Azure's virtual networks and network security groups, and each reads both.
            V(zeek) is Zeek's C(conn.log). V(nfdump) is the output of C(nfdump -o line), C(long) and C(csv).
          - The coverage names each file with a line that was not understood, with the line and the reason.
        type: str
        choices: [aws_vpc, azure_nsg, azure_vnet, conntrack, nfdump, zeek]
        required: true
  local:
    description: Addresses and prefixes that flow records have for this host, in addition to its own addresses.
    type: list
    elements: str
    default: []
  max_traffic:
    description:
      - Entries that RV(traffic) has at most. Sources that were answered on most days come first. Recommendations use
        all entries.
    type: int
    default: 20000
  trusted:
    description: Prefixes to let in, as text or as dictionaries with C(prefix) and C(name).
    type: list
    elements: raw
    default: []
  threats:
    description: Addresses and prefixes that are known as bad, in the same form.
    type: list
    elements: raw
    default: []
  names:
    description: Names of sources, by address or prefix. The smallest prefix around a source names it.
    type: dict
    default: {}
  public_ports:
    description: Ports that are meant for everybody. They get no recommendation.
    type: list
    elements: str
    default: [80/tcp, 443/tcp, 443/udp, 25/tcp, 53/tcp, 53/udp]
  minimum_days:
    description: Days of traffic that a recommendation needs, 1 to 3650.
    type: int
    default: 14
  max_prefixes:
    description: Prefixes that one port may have in a recommendation, 1 to 256.
    type: int
    default: 16
  sign_ins:
    description:
      - Accepted sign-ins of the host by source, as M(bulwark.servers.sign_in_sources_info) returns them. They are
        evidence that a source is legitimate. Leave it out if sign-ins are not known.
    type: list
    elements: dict
  sign_ins_observed:
    description:
      - The beginning and the end of the time in which all sign-ins are known, in seconds since the epoch. In this time,
        a connection without a sign-in counts against its source. Give V([0, 0]) if there is no such time.
    type: list
    elements: float
  fleet:
    description:
      - The results of other hosts for the same sources, as P(bulwark.servers.network_fleet_elsewhere#filter) returns
        them.
    type: list
    elements: dict
  state_dir:
    description:
      - Absolute path of the directory on the host for the recorded traffic. Defaults to C(/var/lib/bulwark).
    type: path
  lock_timeout:
    description: Seconds to wait for another run that reads or changes the same host's recorder.
    type: int
    default: 60
notes:
  - All new connections of a source count for the day (UTC) of the last one, as the kernel does not remember the days of
    the others. With a daily reading, only connections around the time of the reading may count for a wrong day.
  - A long connection counts once more on each day on which a reading sees it.
  - The host remembers 50000 pairs of address and port, and as many of each file of flow records.
seealso:
  - module: bulwark.servers.traffic_recorder
  - plugin: bulwark.servers.network_recommendations
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the recorded connections
  bulwark.servers.traffic_info:
    trusted: [10.0.0.0/8]
  register: seen

- name: Show the recommended sources
  ansible.builtin.debug:
    msg: "{{ item.port }}/{{ item.protocol }}: {{ item.status }}, {{ item.reason }}"
  loop: "{{ seen.recommendations }}"

- name: Begin with the records of Zeek
  bulwark.servers.traffic_info:
    imports:
      - path: /var/log/zeek/2026-01
        format: zeek
"""

RETURN = r"""
recorder:
  description:
    - The settings of the recorder, as M(bulwark.servers.traffic_recorder) returns them. None without a recorder, or if
      it could not be read, as without root.
  type: dict
  returned: success
since:
  description:
    - The beginning of the known traffic, in seconds since the epoch. This is the first reading of the recorder, or the
      first one after the recorder was made anew and more than two days without a reading. None if the recorder was
      never read, or if the remembered traffic could not be read.
  type: float
  returned: success
incomplete_since:
  description:
    - The last time at which the sets of the kernel had no place for a real address, in seconds since the epoch. Sources
      may be missing then.
  type: float
  returned: success
traffic:
  description: The connections, one entry for each address, port, protocol and direction.
  type: list
  elements: dict
  returned: success
  contains:
    source:
      description: The address of the source. With C(direction) V(out), the address that the host connected to.
      type: str
      returned: success
    port:
      description: The port that was connected to.
      type: int
      returned: success
    protocol:
      description: V(tcp), V(udp) or V(sctp).
      type: str
      returned: success
    direction:
      description: V(in) or V(out).
      type: str
      returned: success
    first_seen:
      description: When it was first seen, as exactly as readings allow, in seconds since the epoch.
      type: float
      returned: success
    last_seen:
      description: When it was last seen, in seconds since the epoch.
      type: float
      returned: success
    count:
      description: How many connections there were.
      type: int
      returned: success
    answered:
      description: How many of them were answered.
      type: int
      returned: success
    refused:
      description: How many of them were refused, or got no reply.
      type: int
      returned: success
    bytes:
      description:
        - The transferred bytes, none if unknown. Imported records have the bytes of both directions. The recorder
          estimates the bytes that the host sent, with headers, from one packet in sixteen, and has none before eight
          such packets.
      type: int
      returned: success
    bytes_known_count:
      description: The number of connections behind RV(traffic[].bytes).
      type: int
      returned: success
    seconds:
      description:
        - The total duration of the connections, none if unknown. The recorder has the minimum duration of the last
          connection before each reading.
      type: int
      returned: success
    long_lived_count:
      description:
        - How many of them lasted 600 seconds or more, which is longer than sshd allows without a sign-in. None if
          unknown.
      type: int
      returned: success
    seconds_known_count:
      description: The number of connections behind RV(traffic[].seconds) and RV(traffic[].long_lived_count).
      type: int
      returned: success
    days:
      description: Numbers of connections by date in UTC.
      type: dict
      returned: success
    origin:
      description: V(recorder) or V(import).
      type: str
      returned: success
traffic_count:
  description:
    - The number of all entries, including those that RV(traffic) leaves out. None if the remembered traffic could not
      be read, as without root. RV(traffic) is empty then, and RV(coverage) has the reason.
  type: int
  returned: success
listening:
  description: The ports that the host listens on, at most 1000. Connected UDP sockets are left out.
  type: list
  elements: dict
  returned: success
  contains:
    port:
      description: The port.
      type: int
      returned: success
    protocol:
      description: V(tcp) or V(udp).
      type: str
      returned: success
    address:
      description: The address that it is bound to.
      type: str
      returned: success
    process:
      description: The process, with C(pid), C(name) and C(executable). None if it could not be seen.
      type: dict
      returned: success
    reach:
      description:
        - V(open) if the firewalls of the host let everybody in, V(limited) if they do not, V(unknown) if this cannot be
          told from their rules, V(local) if only the host itself can connect.
      type: str
      returned: success
    ephemeral:
      description: Whether it is a UDP port that a client may have.
      type: bool
      returned: success
addresses:
  description: The addresses of the host without the loopback interface.
  type: list
  elements: str
  returned: success
recommendations:
  description:
    - The recommendation for each listening port that other hosts can reach. The fields are those of
      P(bulwark.servers.network_recommendations#filter) without C(sources), C(denied) and C(suspects).
  type: list
  elements: dict
  returned: success
findings:
  description: OCSF events of ports that nobody needs, and of ports that are more open than needed.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - Entries of the scopes V(traffic), V(listening) and V(ports), and V(imports) with O(imports). The scope V(ports) is
      not checked before O(minimum_days) of traffic, or if the connections are not known.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.options import collect_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
