#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: sign_in_sources_info
short_description: Show the addresses from which sshd accepted a sign-in
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Sums up, for each address, the sign-ins that sshd of a Linux host accepted. They are evidence that a source is
    legitimate.
  - Trusts only records that root alone can write. These are messages in the journal from a root process whose
    executable is sshd, records of the audit log, and records of C(wtmp) and C(wtmpdb) with an address.
  - Every local account can write a line in the name of sshd to C(/var/log/auth.log) or C(/var/log/secure), with
    C(logger). Sources that only such lines name are in RV(hints), and never in RV(sign_ins).
  - Nothing is remembered on the host. The next run of M(bulwark.servers.sign_in_info) reads the same as without this
    module.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
options:
  days:
    description: Days to go back, 1 or more.
    type: int
    default: 90
  time_budget:
    description: Seconds after which reading stops, 0 for no limit. The coverage names the logs that were not read.
    type: int
    default: 120
  priority:
    description: With V(idle), all other processes of the host go first.
    type: str
    choices: [idle, normal]
    default: idle
seealso:
  - module: bulwark.servers.sign_in_info
  - module: bulwark.servers.network_rules_draft
"""

EXAMPLES = r"""
- name: Read the sources of sign-ins by sshd
  bulwark.servers.sign_in_sources_info:
    days: 30
  register: signed_in

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.source }} signed in {{ item.count }} times, last on {{ item.days.keys() | last }}"
  loop: "{{ signed_in.sign_ins }}"
"""

RETURN = r"""
sign_ins:
  description: The sources with proven sign-ins, at most 5000. Sources with most sign-ins come first.
  type: list
  elements: dict
  returned: success
  contains:
    source:
      description: The address.
      type: str
      returned: success
    service:
      description: V(sshd).
      type: str
      returned: success
    port:
      description: Always none, as sshd does not log the port.
      type: int
      returned: success
    count:
      description: How many sign-ins were accepted.
      type: int
      returned: success
    users:
      description: The number of accounts, without their names.
      type: int
      returned: success
    first:
      description: When the first was, in seconds since the epoch.
      type: float
      returned: success
    last:
      description: When the last was, in seconds since the epoch.
      type: float
      returned: success
    days:
      description: Numbers of sign-ins by date in UTC.
      type: dict
      returned: success
    proofs:
      description: The sources of the proof, of V(journal), V(audit) and V(utmp).
      type: list
      elements: str
      returned: success
  sample:
    - source: 203.0.113.7
      service: sshd
      port: null
      count: 2
      users: 1
      first: 1767225600.0
      last: 1767312000.0
      days: {"2026-01-01": 1, "2026-01-02": 1}
      proofs: [journal]
observed:
  description:
    - The beginning and the end of the time in which all sign-ins are known, in seconds since the epoch. None if there
      is no such time, as with C(wtmp) alone, which lacks sign-ins without a terminal.
  type: list
  elements: float
  returned: success
refused:
  description:
    - Sources that sshd refused and never accepted, by the journal and the audit log, each with C(source) and C(count).
      At most 5000.
  type: list
  elements: dict
  returned: success
hints:
  description:
    - Sources that only forgeable logs name, with the fields of RV(sign_ins). They prove nothing.
  type: list
  elements: dict
  returned: success
coverage:
  description: One entry, of the scope V(accepted_sign_ins).
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.accepted import collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import sources_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=sources_spec(), supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
