#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: audit_events_info
short_description: Look for attacks in a host's audit log
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads what the kernel's audit system recorded since the last run, and returns what detections find in it, programs
    that were executed, files that were changed, connections, system calls and what user space programs reported. The
    log never leaves the host, only what matched does.
  - The detections are Sigma rules, the collection's and yours. The controller compiles them, the host needs nothing but
    Python.
  - With O(run), every record is read exactly once, also when the log is rotated or a run is cut off in between. Without
    it, and in check mode, what is new since the last recorded run is read and read again the next time.
  - On Windows hosts, it runs M(bulwark.servers.win_audit_events_info), which has no options that are for Linux only.
  - The audit system records what rules tell it to. M(bulwark.servers.audit_rules) deploys those that the detections
    need.
  - Where a rule could not be loaded, because its directory came later or was replaced, the names, owners and times of
    the files that are there now are read, and the detections judge new ones as if it had been recorded that they were
    made. The coverage names these paths. This is left out when O(paths) is given without O(run), as such logs may be
    those of another host.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.log_reading
  - bulwark.servers.checkpoint
  - bulwark.servers.checkpoint.simulated
  - bulwark.servers.automation
options:
  paths:
    description:
      - Audit logs as absolute paths, or patterns of them. Rotated ones beside them are read, too, also compressed.
      - By default C(/var/log/audit/audit.log).
      - A log may hold events of several hosts, with C(node=) or a header of syslog in front. Findings of others than
        the host itself name it.
    type: list
    elements: path
  rule_paths:
    description:
      - Sigma rules of yours on the controller, as files or directories, used beside the collection's. Those for the
        categories C(process_creation), C(file_event) and the like and C(network_connection), and for the service
        C(auditd), are matched here.
    type: list
    elements: path
notes:
  - Each look makes one record in the audit log of the host, as C(auditctl -m) does, in check mode, too. That it comes
    to the log shows that the log is written. It is not made for a log that is not one of the host's.
  - A process that forks without executing a program is not in the log. Where its children are, their parent is not
    known.
seealso:
  - module: bulwark.servers.audit_rules
  - module: bulwark.servers.sign_in_info
  - module: bulwark.servers.win_audit_events_info
  - module: bulwark.servers.findings_record
"""

EXAMPLES = r"""
- name: Look at the audit log of the last day
  bulwark.servers.audit_events_info:
    since: "{{ now().timestamp() - 86400 }}"
  register: events

- name: Look at a copy of a log with rules of yours only
  bulwark.servers.audit_events_info:
    paths: [/srv/evidence/web1/audit.log]
    rule_paths: [/srv/sigma/rules/linux]
    own_rules: false

- name: Recognise the actions of Ansible, also from a second controller
  bulwark.servers.audit_events_info:
    automation_users: [ansible]
    automation_addresses: [192.0.2.10]

- name: Show the findings
  ansible.builtin.debug:
    msg: "{{ item.finding_info.title }}"
  loop: "{{ events.findings }}"
"""

RETURN = r"""
findings:
  description:
    - OCSF events of what the detections found. Many events of an alert about the same subject are one, which shows the
      first and the last, with their number.
    - The module returns them as C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - One entry, of the scope V(events). C(examined) is how many events were read. What could not be read, or not be
      understood, is named with the reason. Without an audit log, or with one of which nothing was understood, the scope
      is not checked. With a log of the host that is not written any more, it is partly checked.
  type: list
  elements: dict
  returned: success
audit_events:
  description: What was read, in numbers.
  type: dict
  returned: success
  contains:
    events:
      description: How many events were read.
      type: int
      returned: success
    matches:
      description: How many times an event matched a rule.
      type: int
      returned: success
    explained:
      description: How many of them something explains, so that they are findings of their own.
      type: int
      returned: success
    commands:
      description: How many different commands were looked at. One that is repeated much later may count again.
      type: int
      returned: success
    damaged_lines:
      description: How many lines were not understood.
      type: int
      returned: success
    unknown_events:
      description: How many events were not understood, such as system calls of an unknown architecture.
      type: int
      returned: success
    log_active:
      description:
        - Whether a record of this look came to the log. V(null) for a log that is not the host's own, of which that is
          not asked.
      type: bool
      returned: success
    files:
      description: How many log files there were.
      type: int
      returned: success
    bytes:
      description: How many bytes were read.
      type: int
      returned: success
    rules:
      description: How many rules and correlations were used.
      type: int
      returned: success
    first_time:
      description: The time of the first event that was read, in seconds since the epoch.
      type: float
      returned: success
    last_time:
      description: The time of the last event that was ever read, in seconds since the epoch.
      type: float
      returned: success
    seconds:
      description: How long the module took.
      type: float
      returned: success
  sample:
    events: 100323
    matches: 12
    explained: 3
    commands: 22118
    damaged_lines: 0
    unknown_events: 0
    log_active: true
    files: 3
    bytes: 105232371
    rules: 326
    first_time: 1780000000.123
    last_time: 1780020054.2
    seconds: 1.9
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
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.collect import collect


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
