#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: traffic_info
short_description: Show who connects to a host, and which of its ports need less than the whole world
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads what the recorder of M(bulwark.servers.traffic_recorder) has counted on a Linux host since it was read the
    last time, and adds it to what the host remembers. Each connection counts once, however a reading is cut off.
  - Reads records of flows on the host, too, so that a host whose history lies elsewhere need not wait for weeks.
  - Lists the ports that the host listens on, with the process, and whether its firewalls let everybody in.
  - Where enough was seen, recommends what to let in, as P(bulwark.servers.network_recommendations#filter) does, and
    finds ports that nobody needs, and ports that are open to the whole world and needed by few.
  - In check mode what is read is not kept, and read again the next time.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  keep_days:
    description: For how many days the host remembers who connected, 1 to 400.
    type: int
    default: 90
  imports:
    description:
      - Records of flows on the host. What a file holds counts once, also when it is given again, has grown, was
        renamed or packed by gzip.
      - What the recorder has counted itself since it was deployed is left out of them.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path of a file, or of a directory of which each file is read; links in it are not followed.
        type: path
        required: true
      format:
        description:
          - V(conntrack), what C(conntrack -L) writes. V(aws_vpc), flow logs of AWS VPCs. V(azure_vnet) and
            V(azure_nsg), flow logs of Azure's virtual networks and network security groups; each of the two reads both.
            V(zeek), its C(conn.log). V(nfdump), what C(nfdump -o line), C(long) and C(csv) write.
          - A file of which nothing is understood, or not all, is in the coverage with the line and the reason.
        type: str
        choices: [aws_vpc, azure_nsg, azure_vnet, conntrack, nfdump, zeek]
        required: true
  local:
    description: Addresses and prefixes that flow records have for this host, beside those that it has itself.
    type: list
    elements: str
    default: []
  max_traffic:
    description:
      - How many entries RV(traffic) has at most. Those who were answered on most days come first. Recommendations are
        made from all entries.
    type: int
    default: 20000
  trusted:
    description: Prefixes that may come, as text or as dictionaries with C(prefix) and C(name).
    type: list
    elements: raw
    default: []
  threats:
    description: Addresses and prefixes that are known as bad, in the same form.
    type: list
    elements: raw
    default: []
  names:
    description: What to call sources, by address or prefix; the smallest prefix around a source names it.
    type: dict
    default: {}
  public_ports:
    description: Ports that are meant for everybody, for which nothing is recommended.
    type: list
    elements: str
    default: [80/tcp, 443/tcp, 443/udp, 25/tcp, 53/tcp, 53/udp]
  minimum_days:
    description: For how many days traffic has to be seen before anything is recommended, 1 to 3650.
    type: int
    default: 14
  max_prefixes:
    description: How many prefixes one port may have in a recommendation, 1 to 256.
    type: int
    default: 16
  sign_ins:
    description:
      - Accepted sign-ins of the host by source, as M(bulwark.servers.sign_in_sources_info) returns them. They are
        evidence that a source is legitimate. Leave it out where they are not known.
    type: list
    elements: dict
  sign_ins_observed:
    description:
      - The first and the last moment between which all sign-ins are known, in seconds since the epoch, so that it
        counts when somebody who came did not sign in. Give V([0, 0]) where that is not known of any day.
    type: list
    elements: float
  fleet:
    description:
      - What other hosts saw of the same sources, as P(bulwark.servers.network_fleet_elsewhere#filter) returns it.
    type: list
    elements: dict
  state_dir:
    description:
      - Directory on the host that holds what was recorded, as an absolute path; C(/var/lib/bulwark) when not given.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that reads or changes the same host's recorder.
    type: int
    default: 60
notes:
  - Connections count for the day, in UTC, on which the last of them came since the reading before, as the kernel does
    not remember the others. With a reading on each day that is exact but for those around the time of the reading.
  - A connection that lasts counts once more on each day on which a reading has seen it.
  - The host remembers 50000 addresses with their ports, and of each file of flow records as many.
seealso:
  - module: bulwark.servers.traffic_recorder
  - plugin: bulwark.servers.network_recommendations
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read who connected
  bulwark.servers.traffic_info:
    trusted: [10.0.0.0/8]
  register: seen

- name: Show what to let in
  ansible.builtin.debug:
    msg: "{{ item.port }}/{{ item.protocol }}: {{ item.status }}, {{ item.reason }}"
  loop: "{{ seen.recommendations }}"

- name: Begin with what Zeek has recorded
  bulwark.servers.traffic_info:
    imports:
      - path: /var/log/zeek/2026-01
        format: zeek
"""

RETURN = r"""
recorder:
  description:
    - The settings of the recorder, as M(bulwark.servers.traffic_recorder) returns them. None without one, and where
      that could not be looked at, as without root.
  type: dict
  returned: success
since:
  description:
    - Since when traffic would have been seen, in seconds since the epoch, which is when the recorder was read first, or
      after it was made anew and had not been read for more than two days before. None when it never was, and where what
      the host remembers could not be read.
  type: float
  returned: success
incomplete_since:
  description:
    - When the sets of the kernel last had no place for an address that was not made up, in seconds since the epoch. Who
      connects may be missing then.
  type: float
  returned: success
traffic:
  description: Who connected, an entry for each address, port, protocol and direction.
  type: list
  elements: dict
  returned: success
  contains:
    source:
      description: The address; with C(direction) V(out), of whom the host connected to.
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
      description: When it was first seen as far as readings tell, in seconds since the epoch.
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
        - What they transferred, none where that is not known. Of imported records, in both directions. Of the recorder,
          what the host sent, with headers, estimated from one packet in sixteen; none before eight such packets.
      type: int
      returned: success
    bytes_known_count:
      description: How many of the connections RV(traffic[].bytes) is of.
      type: int
      returned: success
    seconds:
      description:
        - How long they took in all, none where that is not known. Of the recorder, of the last connection before each
          reading, at least.
      type: int
      returned: success
    long_lived_count:
      description:
        - How many of them lasted for 600 seconds or more, which is longer than sshd lets anybody stay who does not sign
          in. None where that is not known.
      type: int
      returned: success
    seconds_known_count:
      description: How many of the connections RV(traffic[].seconds) and RV(traffic[].long_lived_count) are of.
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
    - How many entries there are, also those that are left out of RV(traffic). None where what the host remembers could
      not be read, as without root; RV(traffic) is empty then, and RV(coverage) has the reason.
  type: int
  returned: success
listening:
  description: The ports that the host listens on, of UDP those that are not connected; at most 1000.
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
      description: The process, with C(pid), C(name) and C(executable); none where that could not be seen.
      type: dict
      returned: success
    reach:
      description:
        - V(open) where the firewalls of the host let everybody in, V(limited) where they do not, V(unknown) where their
          rules leave that open, V(local) where only the host itself gets to it.
      type: str
      returned: success
    ephemeral:
      description: Whether it is a port of UDP that a client may have.
      type: bool
      returned: success
addresses:
  description: The addresses of the host, without those of the loopback interface.
  type: list
  elements: str
  returned: success
recommendations:
  description:
    - What to let in, for each listening port that is not for the host alone. The fields are those of
      P(bulwark.servers.network_recommendations#filter) without C(sources) and C(denied).
  type: list
  elements: dict
  returned: success
findings:
  description: OCSF events of ports that nobody needs, and of ports that are open to more than needs them.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - Entries of the scopes V(traffic), V(listening) and V(ports), and V(imports) where there are O(imports). The scope
      V(ports) is not checked before traffic was seen for O(minimum_days), nor where it can't be known who connected.
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
