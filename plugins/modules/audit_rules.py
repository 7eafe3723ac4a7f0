#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: audit_rules
short_description: Deploy the audit rules that detections need
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Tells the kernel of a Linux host what to record (programs that are started, connections, changes of files that
    matter, and more), so that a scan finds in the audit log what is suspicious.
  - The rules come in named groups, chosen per host, with rules of your own beside them. They are compiled on the host,
    for its architectures, paths and kernel, and loaded all or none. When the kernel refuses one, everything is as it
    was.
  - The kernel takes no rule for a directory that is missing. There is one for the first missing name on the way to it
    instead, with the key C(bulwark-appearing), and the next run loads the rule itself when the directory is there.
  - The same rules are written to O(rules_file), where the audit daemon's C(augenrules) finds them at the next boot.
  - Rules of others are never changed or removed. Those that hide what detections need are named in RV(conflicts).
  - In check mode it only looks. What is missing, was changed or hides events is in RV(findings), which is what a scan
    uses it for.
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
      - V(present) deploys the rules.
      - V(absent) removes them and their file, and sets C(enabled), C(backlog_limit) and C(backlog_wait_time) back to
        what they were before the first deployment, unless somebody else has changed them since.
    type: str
    choices: [present, absent]
    default: present
  groups:
    description:
      - Names of the groups to deploy, in place of the default ones. The guide on audit analytics lists them.
      - Names of groups of M(bulwark.servers.win_audit_policy) are skipped, so that one variable can name groups of both
        platforms. If only such groups are named, the default ones are deployed.
    type: list
    elements: str
  extra_groups:
    description: Names of groups to deploy beside O(groups) or the default ones.
    type: list
    elements: str
    default: []
  disabled_groups:
    description: Names of groups to leave out.
    type: list
    elements: str
    default: []
  rules:
    description:
      - Rules of your own, one in each entry, written as for C(auditctl), as in
        C(-a always,exit -F arch=b64 -S openat -F dir=/srv/shop -F perm=wa -F key=shop).
      - They come before the groups. The kernel takes the first rule that fits, so that a C(never) of yours keeps events
        from being recorded, and the events of yours carry your key.
    type: list
    elements: str
    default: []
  automation_users:
    description:
      - Accounts that automation logs in with, such as C(ansible). The programs that are started in their sessions carry
        the key C(bulwark-automation). It follows the account that logged in, also through C(sudo).
    type: list
    elements: str
    default: []
  exclude_programs:
    description:
      - Programs, as absolute paths, whose network connections are not recorded, for a host where one of them opens
        thousands in a second. Everything else that they do is.
    type: list
    elements: path
    default: []
  backlog_limit:
    description:
      - How many records may wait for the audit daemon. A higher limit that is set already stays.
      - Each takes about 1 KB of the kernel's memory while it waits.
    type: int
    default: 16384
  backlog_wait_time:
    description:
      - How long, in clock ticks of the kernel, a program is held up when O(backlog_limit) is reached. V(0) holds
        nothing up and loses records, which the kernel counts and a scan reports.
      - It is left as it is where others have set the kernel to panic when it loses a record.
    type: int
    default: 0
  require_daemon:
    description:
      - Whether to fail where no audit daemon is running. Without one the kernel writes the records to its own log.
    type: bool
    default: true
  rules_file:
    description:
      - The file for the next boot. Its name ends with C(.rules) and decides the order among others in the directory.
    type: path
    default: /etc/audit/rules.d/70-bulwark.rules
  state_dir:
    description:
      - Directory on the host that holds what was deployed, as an absolute path; C(/var/lib/bulwark) when not given.
      - It is made with mode C(0700). One that is there already keeps its mode, and is refused unless that is C(0700).
      - It is also refused when others than root can write in it, or in the directories above it, unless these are
        sticky as C(/tmp) is, where nobody else can exchange it.
    type: path
  lock_timeout:
    description: Seconds to wait for another run that is deploying on the same host.
    type: int
    default: 60
  _groups:
    description:
      - The rules of the groups. For the action plugin only, which fills it in.
    type: list
    elements: dict
notes:
  - Where the rules are immutable (C(auditctl -e 2)), the file is written, RV(reboot_required) is true, and the kernel
    keeps its rules until the host is booted.
  - It never makes rules immutable, and never sets the kernel to panic.
  - A container can't have audit rules of its own; the module fails there, and says in check mode that nothing was
    checked.
"""

EXAMPLES = r"""
- name: Deploy the default groups
  bulwark.servers.audit_rules:

- name: Deploy them on a build host, with rules for the shop
  bulwark.servers.audit_rules:
    disabled_groups: [deletion]
    extra_groups: [network_accept]
    rules:
      - -a always,exit -F arch=b64 -S openat -F dir=/srv/shop/keys -F perm=r -F auid>=1000 -F key=shop-keys
    automation_users: [ansible]
    exclude_programs: [/usr/sbin/haproxy]

- name: Preview the changes, and list problems of the loaded rules
  bulwark.servers.audit_rules:
  check_mode: true
  register: audit_rules

- name: Remove everything that was deployed
  bulwark.servers.audit_rules:
    state: absent
"""

RETURN = r"""
rules_count:
  description: How many rules of this collection are wanted on the host.
  type: int
  returned: success
added:
  description: The rules that were loaded, or would be, as C(auditctl) takes them; at most 1000.
  type: list
  elements: str
  returned: success
removed:
  description: The rules that were removed, or would be; at most 1000.
  type: list
  elements: str
  returned: success
foreign_count:
  description: How many rules of others the kernel has.
  type: int
  returned: success
conflicts:
  description: Rules of others that hide what detections need.
  type: list
  elements: dict
  returned: success
  contains:
    rule:
      description: The rule.
      type: str
      returned: success
    reason:
      description: What it does.
      type: str
      returned: success
not_deployed:
  description: What was asked for and could not be deployed on this host.
  type: list
  elements: dict
  returned: success
  contains:
    subject:
      description: The account, program or path.
      type: str
      returned: success
    reason:
      description: Why its rules could not be deployed.
      type: str
      returned: success
missing_paths:
  description:
    - Paths that rules are about and that are missing on the host, at most 1000. That they are made is recorded, and
      what is made directly in the first directory on the way to them; the rest is when the module has run again.
  type: list
  elements: str
  returned: success
reboot_required:
  description: Whether the rules are immutable, so that they change when the host is booted.
  type: bool
  returned: success
status:
  description: The kernel's settings and counters after the module ran.
  type: dict
  returned: success
  sample:
    enabled: 1
    failure: 1
    pid: 612
    rate_limit: 0
    backlog_limit: 16384
    lost: 0
    backlog: 0
    backlog_wait_time: 0
findings:
  description:
    - OCSF events of what is wrong with the rules. The module returns them as C(detections), which the action plugin
      turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description: Whether the rules could be looked at; one entry, of the scope V(deployed_rules).
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.apply import apply
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.options import apply_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
