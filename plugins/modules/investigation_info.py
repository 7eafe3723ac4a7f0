#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: investigation_info
short_description: Find out what a finding, process, file, account or address is part of
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Begins with a finding, or with a process, file, account or address of a host. Returns the processes, connections,
    files, accounts, sign-ins and startup items that are connected with it, each with the reason, and a timeline.
  - The module reads processes, sockets, audit records, files and logs. It changes nothing, follows no symbolic links
    and ends nothing. It starts only C(rpm), C(journalctl), C(nft) and C(iptables-save), and only if the host has a
    database, a journal or rules for them. For a process that ended, it returns the entries of the logs.
  - Passwords and keys stay on the host. The result has the names of environment variables without their values, and
    masks words of command lines that look like a secret.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  finding:
    description:
      - Begin with the evidence of this finding. The value is its C(uid), which M(bulwark.servers.findings_info) and the
        report have. It has to be a finding of this host.
      - Set exactly one of O(finding), O(pid), O(path), O(user) and O(address).
    type: str
  pid:
    description:
      - Begin with the process that has this number. With O(time), it is the process that had the number then.
    type: int
  path:
    description: Begin with this file, also if it was removed. Links in the path are not followed.
    type: path
  user:
    description: Begin with this account, by its name or number.
    type: str
  address:
    description: Begin with this address of IPv4 or IPv6.
    type: str
  time:
    description:
      - When it happened, in UTC, such as V(2026-11-30T02:49:00Z), or in seconds since the epoch. A finding has its own
        time.
    type: str
  store:
    description:
      - URL of the store on the controller that has the finding, as in M(bulwark.servers.findings). Never sent to the
        host.
    type: str
  record:
    description:
      - Whether to record the result in the store, so that others see it with the finding. The store keeps the newest
        five of each finding, or of each subject of a host. Nothing is recorded in check mode.
    type: bool
    default: false
  hours:
    description: Hours before O(time), or before now, from which audit records and logs are read.
    type: int
    default: 72
  depth:
    description:
      - Steps from the beginning that are followed, up to V(20). Steps between a process and what it started do not
        count.
    type: int
    default: 6
  nodes:
    description: The largest number of processes, files and so on in the result, up to V(5000). The nearest stay.
    type: int
    default: 500
  events:
    description: The largest number of lines in the timeline, up to V(20000).
    type: int
    default: 500
  time_budget:
    description: Seconds that the host may use. RV(coverage) and RV(investigation.cuts) name the gaps.
    type: int
    default: 30
  audit_logs:
    description: The current audit logs as absolute paths. Rotated files are read as well.
    type: list
    elements: path
    default: [/var/log/audit/audit.log]
  priority:
    description:
      - CPU priority of the module on the host. V(idle) uses the lowest CPU priority and idle I/O priority. V(normal)
        changes neither.
    type: str
    choices: [idle, normal]
    default: idle
  _evidences:
    description: Set by the action plugin. The evidence of the finding.
    type: list
    elements: dict
    default: []
  _first_time:
    description: Set by the action plugin. When the finding was seen first, in seconds since the epoch.
    type: float
  _last_time:
    description: Set by the action plugin. When the finding was seen last, in seconds since the epoch.
    type: float
notes:
  - Root is needed. Without it, processes and logs of other accounts cannot be read, and RV(coverage) says so.
  - Without audit records, processes that ended and files that they wrote are mostly unknown.
seealso:
  - module: bulwark.servers.findings_info
"""

EXAMPLES = r"""
- name: Investigate a finding
  bulwark.servers.investigation_info:
    finding: 5f0c1a9e-9f6a-5b8e-8a51-0d7f3b1f8a11
  register: investigated

- name: Show the timeline, line by line
  ansible.builtin.debug:
    msg: "{{ investigated.investigation.events | map(attribute='text') }}"

- name: Investigate a process that had this number at night
  bulwark.servers.investigation_info:
    pid: 4711
    time: "2026-11-30T02:49:00Z"

- name: Investigate an address
  bulwark.servers.investigation_info:
    address: 203.0.113.9
"""

RETURN = r"""
investigation:
  description: Everything that is connected with the beginning.
  type: dict
  returned: success
  contains:
    subject:
      description: The beginning of the investigation, as a text.
      type: str
      returned: success
    nodes:
      description:
        - Processes, files, addresses, accounts, sessions and so on, the nearest first. C(id) begins with the C(kind).
          C(label) is for people, C(facts) is what is known, C(first) and C(last) are seconds since the epoch, and
          C(gone) is true if only logs know it.
      type: list
      elements: dict
      returned: success
    links:
      description: How two nodes are connected, as C(source), C(relation), C(target), C(time) and the source C(by).
      type: list
      elements: dict
      returned: success
    reasons:
      description: Why a node is in the result, as C(node), C(text), the node before it (C(via)), and the C(step).
      type: list
      elements: dict
      returned: success
    events:
      description: The timeline, as C(time) in seconds since the epoch, C(text), the source C(by), and its C(nodes).
      type: list
      elements: dict
      returned: success
    cuts:
      description: Omissions because of a limit, as C(limit), C(text) and C(count).
      type: list
      elements: dict
      returned: success
id:
  description: The id of the recorded investigation.
  type: str
  returned: with O(record), except in check mode
investigated:
  description: The result for people.
  type: dict
  returned: success
  contains:
    finding:
      description: The C(uid) of the finding that it begins with, empty without one.
      type: str
      returned: success
    subject:
      description: The beginning of the investigation, as a text.
      type: str
      returned: success
    summary:
      description: At most 20 sentences about what happened.
      type: list
      elements: str
      returned: success
      sample:
        - nginx worker (812) started sh (4711), which started curl (4712) and x (4713).
        - curl (4712) downloaded /dev/shm/x from 203.0.113.9:443.
queries:
  description:
    - The same as events of OCSF 1.5.0, for other tools. These are process, network connection, job, startup item,
      module, file, user and user session queries, at most 10,000, those of the nearest first.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - Entries of the scopes V(subject), V(processes), V(audit_records), V(connections), V(files) and further sources.
      Each names the gaps and their reasons.
  type: list
  elements: dict
  returned: success
findings:
  description: An empty list. An investigation explains findings, and adds none.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.options import collect_spec


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
