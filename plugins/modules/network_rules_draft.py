#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network_rules_draft
short_description: Write the sources to let in on a host as variables for people to review
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
requirements:
  - Python package C(netaddr) 1 on the controller
description:
  - Recommends the sources to let in on each port, from the result of M(bulwark.servers.traffic_info), threat lists and
    the open findings of the store. The filter P(bulwark.servers.network_recommendations#filter) decides.
  - Writes a file on the controller with variables of the role C(bulwark.servers.network_hardening). The file has the
    reason for each prefix, the sources that would have been denied, and the sources that are recommended for blocking.
    It enforces nothing.
  - An existing file is replaced only with O(replace=true). If it lets in or blocks other sources, the new file is
    written beside it as C(HOST.new.yml). Diff mode shows the difference.
  - The file has three kinds of ports as comments. These are ports that nobody needs, ports with too little traffic, and
    ports that stay open because it is unclear who needs them. The last ones have the sources that came.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A file with the same sources stays as it is, even with other reasons or another spelling of the prefixes.
  platform:
    support: full
    platforms: posix
options:
  result:
    description: The result of M(bulwark.servers.traffic_info).
    type: dict
    required: true
  path:
    description:
      - The file to write on the controller. A relative path starts in the directory that C(ansible-playbook) is run in.
      - The file gets mode C(0600), and missing directories get C(0700).
    type: str
    required: true
  replace:
    description: Whether an existing file is replaced.
    type: bool
    default: false
  use_findings:
    description:
      - Whether addresses in open findings about password guessing or scanning are kept out, from severity V(medium) on.
        Without a store at the default path, RV(notes) says so. A store that O(store) names must exist.
    type: bool
    default: true
  threat_lists:
    description:
      - Threat lists on the controller, as paths or as dictionaries like those of M(bulwark.servers.audit_events_info).
        Only their addresses are used.
    type: list
    elements: raw
    default: []
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
    description: Prefixes that one port may have, 1 to 256.
    type: int
    default: 16
  max_blocked:
    description: Sources that may be recommended for blocking, 0 to 4096. Those with most connections come first.
    type: int
    default: 500
  locked:
    description:
      - Ports that just-in-time access locks, in the form of the option C(ports) of M(bulwark.servers.jit_access). They
        are left out.
    type: list
    elements: dict
    default: []
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
seealso:
  - module: bulwark.servers.traffic_info
  - module: bulwark.servers.sign_in_sources_info
  - module: bulwark.servers.network_rules
  - plugin: bulwark.servers.network_recommendations
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the recorded connections
  bulwark.servers.traffic_info:
  register: seen

- name: Write the recommended sources
  bulwark.servers.network_rules_draft:
    result: "{{ seen }}"
    path: "learned/{{ inventory_hostname }}.yml"
    trusted:
      - prefix: 10.0.0.0/8
        name: datacentre
    threat_lists:
      - /srv/lists/scanners.txt
  register: draft

- name: Show it
  ansible.builtin.debug:
    msg: "{{ draft.lines }}"
"""

RETURN = r"""
enough_data:
  description: Whether there is enough traffic. Otherwise no file is written, and RV(lines) has the reason.
  type: bool
  returned: success
lines:
  description:
    - The sources to let in, the sources that would have been denied, and the path of the file, as lines of text.
  type: list
  elements: str
  returned: success
path:
  description: The written file, or the existing one with the same rules. None if there is too little traffic.
  type: str
  returned: success
preserved:
  description: Whether an existing file stayed as it is.
  type: bool
  returned: success
changes:
  description: The differences between the existing and the new file, port by port.
  type: list
  elements: str
  returned: success
ports:
  description: The recommendations, as the filter P(bulwark.servers.network_recommendations#filter) returns them.
  type: list
  elements: dict
  returned: success
observed_days:
  description: The number of days with known traffic.
  type: int
  returned: success
notes:
  description: Unusable entries of threat lists, and a note if open findings were not used.
  type: list
  elements: str
  returned: success
"""
