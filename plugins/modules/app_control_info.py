#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_control_info
short_description: Remember the programs that run on a host, and report those that no allowlist has
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads the executions in the audit log since the last recorded run, and the running processes. Identifies each
    program, script and unusual library by its content, its package and the accounts that can write to it, and remembers
    it.
  - With O(allowlists), each program that no allowlist of the host has becomes a finding, one for each program and host.
    Without O(allowlists), programs are only learned.
  - Nothing is blocked or slowed down. If fapolicyd enforces the allowlist (M(bulwark.servers.app_control)), each
    finding says whether the program was blocked, and the enforcement itself is checked.
  - Programs that scripts of a package start are explained if a signed repository has that package. RV(coverage) counts
    them. Programs that known automation ran are findings of severity informational.
  - With O(run), every execution is read exactly once. Without it, and in check mode, the next run reads the same
    executions again.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.app_control
  - bulwark.servers.automation
  - bulwark.servers.checkpoint
  - bulwark.servers.checkpoint.simulated
options:
  allowlists:
    description:
      - Directory on the controller with the reviewed allowlists. Every file that ends with C(.yml) counts, apart from
        proposals that end with C(.new.yml). C(exceptions.yml) has the exceptions.
      - The list of a role applies if it names the host in C(hosts), or if O(roles) names the list. The list of a
        distribution applies to hosts of that distribution that it names or that have a role.
    type: path
  roles:
    description: Names of allowlists that apply in addition to those that name the host.
    type: list
    elements: str
    default: []
  mode:
    description:
      - The mode that the host should have (C(app_control_mode) of the role). With V(rehearse) or V(enforce), a host
        without a policy is a finding.
      - In every mode, a host with a policy of M(bulwark.servers.app_control) is compared with that policy.
    type: str
    choices: [audit, rehearse, enforce]
    default: audit
  _content:
    description: Set by the action plugin. The allowlist of the host.
    type: str
  _own:
    description: Set by the action plugin. The digests of programs that the collection leaves on hosts with a policy.
    type: dict
notes:
  - The module does not see code in arguments and pipes, and files that a script or program reads itself, such as by
    C(source) of a shell or C(import) of Python.
  - Programs in containers are judged only if an allowlist has rules for their image. RV(coverage) names the others.
  - A program of a Debian package is verified if its content has the digest that dpkg recorded. Root can edit these
    digests. So content that changes while the version of the package stays is reported.
  - On a host where fapolicyd enforces a policy, each run creates an untrusted file, tries to execute it, and removes
    it. The file is no program, and fapolicyd refuses it unless the enforcement fails.
  - Each run, even in check mode, adds one record to the audit log of the host, as C(auditctl -m) does. The record
    proves that the log is written.
seealso:
  - module: bulwark.servers.app_control
  - module: bulwark.servers.app_inventory_info
  - module: bulwark.servers.audit_rules
  - module: bulwark.servers.findings_record
"""

EXAMPLES = r"""
- name: Look at programs, and judge them by the reviewed allowlists
  bulwark.servers.app_control_info:
    allowlists: allowlists/app_control
  register: programs

- name: Let the lists for build hosts count, too
  bulwark.servers.app_control_info:
    allowlists: allowlists/app_control
    roles: [build]
    automation_users: [ansible]

- name: Show programs that no allowlist has
  ansible.builtin.debug:
    msg: "{{ item.finding_info.title }}"
  loop: "{{ programs.findings }}"
"""

RETURN = r"""
findings:
  description:
    - OCSF events of programs that no allowlist has, one for each program. The evidence has the account, the address,
      the content, the package, the parent program, the number of executions, and other hosts with the program.
    - The C(disposition) of a violation is C(Blocked) if fapolicyd refused it each time, and C(Allowed) if it ran. The
      evidence has both counts, and how often fapolicyd would have refused it in a rehearsal.
    - Allowed programs that fapolicyd stops, and defects of the enforcement, are findings, too.
    - A directory that every account can write to, and that is mounted without C(noexec), is a recommendation.
    - The module returns them as C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
programs:
  description:
    - Programs that are new, changed, or seen on a new day, as M(bulwark.servers.app_inventory_info) returns them. Their
      numbers count from the last recorded run. M(bulwark.servers.findings_record) adds them up.
  type: list
  elements: dict
  returned: success
program_host:
  description: Facts about the host and its known executions.
  type: dict
  returned: success
  contains:
    distribution:
      description: The id of the distribution and its major version.
      type: str
      returned: success
    since:
      description: The beginning of the known executions, in seconds since the epoch. V(0) for none.
      type: float
      returned: success
    until:
      description: The time of the newest event, in seconds since the epoch.
      type: float
      returned: success
    days:
      description: The number of days (UTC) without a missing execution.
      type: int
      returned: success
    roles:
      description: The names of the allowlists that applied.
      type: list
      elements: str
      returned: success
    groups:
      description: The groups of the host in the inventory.
      type: list
      elements: str
      returned: success
ended:
  description: Earlier findings about programs that an allowlist or an exception allows now.
  type: list
  elements: dict
  returned: success
  contains:
    alert:
      description: The alert of the finding.
      type: str
      returned: success
    subject:
      description: The program.
      type: str
      returned: success
    reason:
      description: The allowlist or exception that allows it.
      type: str
      returned: success
coverage:
  description:
    - Entries of the scopes V(programs) and V(containers), and V(mounts) and V(enforcement) if the host has an
      allowlist. They have the beginning of the known executions, everything that was not read, not judged or explained
      by packages, and the gaps of fapolicyd.
    - Without an allowlist, gaps are in the note of an entry with the status V(checked).
  type: list
  elements: dict
  returned: success
checkpoint:
  description:
    - The state that the host remembers. M(bulwark.servers.findings_record) stores it together with the findings.
  type: dict
  returned: with O(run), not in check mode
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: I001
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.options import look_spec
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.look import look


def main() -> None:
    run_module(AnsibleModule(argument_spec=look_spec(), supports_check_mode=True), look)


if __name__ == "__main__":
    main()
