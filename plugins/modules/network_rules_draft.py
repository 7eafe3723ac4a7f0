#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: network_rules_draft
short_description: Write what a host is to let in as variables for people to review
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
requirements:
  - Python package C(netaddr) 1 on the controller
description:
  - Recommends from what M(bulwark.servers.traffic_info) has seen whom to let in on which ports, as the filter
    P(bulwark.servers.network_recommendations#filter) does, and takes threat lists and the open findings of the store
    into account.
  - Writes that as a file of variables of the role C(bulwark.servers.network_hardening) on the controller, with the
    reason beside each prefix, who would have been denied, and who is recommended for blocking. It enforces nothing.
  - A file that is there is never replaced unasked. When it lets in or blocks anybody else, the new one is written
    beside it, as C(HOST.new.yml), and the difference is shown in diff mode.
  - Ports that nobody needs are in the file as comments, as are those of which too little was seen, and those that stay
    open because it is unclear who needs them, with who came.
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
      - A file that lets in and blocks the same is left as it is, whatever the reasons are and however its prefixes are
        written.
  platform:
    support: full
    platforms: posix
options:
  result:
    description: What M(bulwark.servers.traffic_info) has returned.
    type: dict
    required: true
  path:
    description:
      - The file to write on the controller. A relative path starts in the directory that C(ansible-playbook) is run in.
      - It gets the mode C(0600), and directories that are missing C(0700).
    type: str
    required: true
  replace:
    description: Whether a file that is there is replaced.
    type: bool
    default: false
  use_findings:
    description:
      - Whether addresses of open findings are kept out, of the severity V(medium) or a higher one, that are about
        guessing of passwords or scanning. Without a store in the usual place that is noted; one that O(store) names
        must be there.
    type: bool
    default: true
  threat_lists:
    description:
      - Lists of addresses on the controller that are known from attacks, as paths or as dictionaries as
        M(bulwark.servers.audit_events_info) takes them. Other entries of them are not used.
    type: list
    elements: raw
    default: []
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
    description: How many prefixes one port may have, 1 to 256.
    type: int
    default: 16
  max_blocked:
    description: How many sources may be recommended for blocking, 0 to 4096. Those who came most often come first.
    type: int
    default: 500
  locked:
    description:
      - Ports that just-in-time access locks, as the option C(ports) of M(bulwark.servers.jit_access). They are left
        out.
    type: list
    elements: dict
    default: []
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
seealso:
  - module: bulwark.servers.traffic_info
  - module: bulwark.servers.sign_in_sources_info
  - module: bulwark.servers.network_rules
  - plugin: bulwark.servers.network_recommendations
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read who connected
  bulwark.servers.traffic_info:
  register: seen

- name: Write down whom to let in
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
  description: Whether enough was seen. Otherwise nothing is written, and RV(lines) says why.
  type: bool
  returned: success
lines:
  description: What to let in, who would have been denied, and where that was written, as lines of text.
  type: list
  elements: str
  returned: success
path:
  description: The file that was written, or that says the same already; none where too little was seen.
  type: str
  returned: success
preserved:
  description: Whether a file that is there was left as it is.
  type: bool
  returned: success
changes:
  description: Whom the new file lets in and blocks otherwise than the one that was there, port by port.
  type: list
  elements: str
  returned: success
ports:
  description: The recommendations, as the filter P(bulwark.servers.network_recommendations#filter) returns them.
  type: list
  elements: dict
  returned: success
observed_days:
  description: For how many days traffic was seen.
  type: int
  returned: success
notes:
  description: What of the threat lists could not be used, and whether open findings were not taken into account.
  type: list
  elements: str
  returned: success
"""
