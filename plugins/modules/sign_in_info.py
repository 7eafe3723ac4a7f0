#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: sign_in_info
short_description: Look at who signed in to a host, and who tried to
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads what sshd, su, sudo, login and every other program that uses PAM logged about sign-ins since the last run,
    counts failures and successes, and returns what detections find in them, such as brute force attacks. The logs
    never leave the host.
  - It reads the files of syslogd with their rotated and compressed predecessors, the journal where there are no such
    files or nothing is written to them any more, the audit log, C(wtmp), C(btmp), C(lastlog), C(wtmpdb) and
    C(lastlog2). A sign-in that several of them tell of counts once.
  - On Windows hosts, it runs M(bulwark.servers.win_sign_in_info), which has no options that are for Linux only.
  - With O(run), every entry is read exactly once, also when a log is rotated or a run is cut off in between. Without
    it, and in check mode, what is new since the last recorded run is read and read again the next time.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.log_reading
  - bulwark.servers.checkpoint
  - bulwark.servers.checkpoint.simulated
options:
  paths:
    description:
      - Log files that hold sign-ins, as absolute paths. Rotated ones beside them are read, too.
      - By default C(/var/log/auth.log) and C(/var/log/secure), and where there is neither, C(/var/log/messages) and
        C(/var/log/syslog).
      - An empty list reads no such file.
    type: list
    elements: path
  audit_paths:
    description:
      - Audit logs. By default C(/var/log/audit/audit.log).
    type: list
    elements: path
  journal:
    description:
      - V(auto) reads systemd's journal where no log file is there, none was written to in the last day, or none holds
        what this scan has just caused itself.
    type: str
    choices: [auto, always, never]
    default: auto
  first_days:
    description:
      - How many days a first look goes back.
    type: int
    default: 30
  rule_paths:
    description:
      - Sigma rules of yours on the controller, as files or directories, used beside the collection's. Those for the
        log sources C(sign_in) and C(log), and for the services C(auth), C(sshd), C(sudo), C(su), C(cron), C(syslog)
        and the like, are matched here.
    type: list
    elements: path
notes:
  - Of O(threat_lists), the addresses and host names that sign-ins come from are looked for here.
  - Whoever may write to the log of a host (every local account may, with C(logger)) can forge lines of it. In the
    journal they are told from those of sshd, and not counted.
  - Accounts that don't exist may have any name, also one that looks like the rest of a line. The source address is read
    from what sshd writes itself; where that can't be told, the sign-in counts without a source.
  - A database of C(wtmpdb) or C(lastlog2) is read where the host's Python has C(sqlite3).
seealso:
  - module: bulwark.servers.win_sign_in_info
  - module: bulwark.servers.findings_record
"""

EXAMPLES = r"""
- name: Look at the sign-ins of the last day
  bulwark.servers.sign_in_info:
    since: "{{ now().timestamp() - 86400 }}"
  register: sign_ins

- name: Show where most failures came from
  ansible.builtin.debug:
    msg: "{{ item.source }} failed {{ item.failures }} times as {{ item.users | join(', ') }}"
  loop: "{{ sign_ins.sign_ins.sources }}"
"""

RETURN = r"""
findings:
  description:
    - OCSF events of what the detections found in the sign-ins.
    - The module returns them as C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - One entry, of the scope V(sign_ins). C(examined) is how many lines and records were read. What could not be read
      or was not understood is named with the reason, and where no log of sign-ins could be read or nothing in it was
      understood nothing counts as checked.
    - A log that does not hold what this scan has just caused itself (its sign-in by SSH, its sudo) is checked partly.
      Where the scan caused nothing, as over a local connection, it sends a message to the log daemon, which has to come
      to the log.
  type: list
  elements: dict
  returned: success
sign_ins:
  description: What happened, in numbers.
  type: dict
  returned: success
  contains:
    successes:
      description: How many sign-ins succeeded.
      type: int
      returned: success
    failures:
      description: How many attempts failed.
      type: int
      returned: success
    aborted:
      description: How many connections to sshd ended before anything was tried that could have succeeded.
      type: int
      returned: success
    sources:
      description:
        - The 50 sources with most failures, and the 50 that got in last. Each has C(source), C(failures),
          C(successes), C(aborted), C(first), C(last), and C(users), at most 50.
      type: list
      elements: dict
      returned: success
    sources_count:
      description: How many sources there were.
      type: int
      returned: success
    users:
      description: The same for accounts, with C(user), and C(sources) in the place of users.
      type: list
      elements: dict
      returned: success
    users_count:
      description: How many accounts there were, including those that don't exist.
      type: int
      returned: success
    services:
      description: For each service (sshd, su, sudo, login and so on) how many attempts had which outcome.
      type: dict
      returned: success
    methods:
      description: For each method (password, publickey and so on) how many attempts had which outcome.
      type: dict
      returned: success
  sample:
    successes: 1
    failures: 527
    aborted: 20
    sources:
      - source: 183.62.140.253
        failures: 286
        successes: 0
        aborted: 0
        first: '2025-12-10T10:54:29Z'
        last: '2025-12-10T11:04:43Z'
        users: [git, oracle, root, test, ubuntu]
    sources_count: 24
    users: []
    users_count: 0
    services: {sshd: {failures: 527, successes: 1}}
    methods: {password: {failures: 527, successes: 1}}
rule_problems:
  description: One sentence for each rule that can't be used, with its file and line.
  type: list
  elements: str
  returned: success
checkpoint:
  description:
    - How far the logs were read. M(bulwark.servers.findings_record) keeps it together with what was found.
  type: dict
  returned: with O(run), not in check mode
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: I001
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.collect import collect


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
