#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_control_info
short_description: Remember the programs that run on a host, and report those that no allowlist has
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads the executions in the audit log since the last recorded run, and the processes that run now. Identifies each
    program, script and unusual library by its content, its package and who can write to it, and remembers it.
  - With O(allowlists), programs that no allowlist of the host has become findings, one for each program and host.
    Without, programs are only learned.
  - Nothing is blocked, opened or slowed down. Where M(bulwark.servers.app_control) has fapolicyd enforce the allowlist,
    each finding says whether the program was blocked, and the enforcement itself is looked at.
  - What scripts of a package start is explained if a signed repository has that package, and counted in
    RV(coverage). What known automation ran is a finding of severity informational.
  - With O(run), every execution is read exactly once. Without it, and in check mode, what is new since the last
    recorded run is read and read again the next time.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.app_control
  - bulwark.servers.automation
  - bulwark.servers.checkpoint
options:
  allowlists:
    description:
      - Directory on the controller with the allowlists that people reviewed. Every file with the ending C(.yml) counts,
        apart from proposals with the ending C(.new.yml). C(exceptions.yml) has the exceptions.
      - A list of a role counts if it names the host in C(hosts), or if O(roles) names it. Lists of a distribution count
        for every host of that distribution that they name, or for which a role counts.
    type: path
  roles:
    description: Names of allowlists that count in addition to those that name the host.
    type: list
    elements: str
    default: []
  mode:
    description:
      - What the controller wants of this host (C(app_control_mode) of the role). With V(rehearse) or V(enforce), a host
        without a policy is a finding.
      - Whatever it is, a host with a policy of M(bulwark.servers.app_control) is compared with that policy.
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
  - Code in arguments and pipes is not seen, and neither is what a script or program reads itself, such as C(source) of
    a shell or C(import) of Python.
  - Programs in containers are judged only if an allowlist has rules for their image. RV(coverage) says what was not.
  - A program of a Debian package counts as it should if its content has the digest that dpkg recorded. Root can edit
    these digests. A content that changes while the version of the package stays is reported for that reason.
  - On a host where fapolicyd enforces a policy, each look makes a file that nothing trusts, tries to execute it, and
    removes it. It is no program, and is refused unless the enforcement fails.
  - Each look makes one record in the audit log of the host, as C(auditctl -m) does, in check mode, too. That it comes
    to the log shows that the log is written.
seealso:
  - module: bulwark.servers.app_control
  - module: bulwark.servers.app_inventory_info
  - module: bulwark.servers.audit_rules
  - module: bulwark.servers.findings
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

- name: Show what no allowlist has
  ansible.builtin.debug:
    msg: "{{ item.finding_info.title }}"
  loop: "{{ programs.findings }}"
"""

RETURN = r"""
findings:
  description:
    - OCSF events of programs that no allowlist has, one for each program. The evidence has who ran it, from where, with
      which content and package, what started it, how often, and on which other hosts it is.
    - The C(disposition) of a violation is C(Blocked) if fapolicyd refused it each time, and C(Allowed) if it ran. The
      evidence has both counts, and how often fapolicyd would have refused it in a rehearsal.
    - What fapolicyd stops though the allowlist has it, and what is wrong with the enforcement, are findings, too.
    - Directories that every account can write to, and that are mounted without C(noexec), are recommendations.
    - The module returns them as C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
programs:
  description:
    - Programs that are new, other than before, or seen on a new day, as M(bulwark.servers.app_inventory_info) returns
      them. Their numbers count since the last recorded run. M(bulwark.servers.findings) adds them up.
  type: list
  elements: dict
  returned: success
program_host:
  description: What is known of the host's executions.
  type: dict
  returned: success
  contains:
    distribution:
      description: The id of the distribution and its major version.
      type: str
      returned: success
    since:
      description: Since when executions are known, in seconds since the epoch; V(0) for none.
      type: float
      returned: success
    until:
      description: The time of the newest event, in seconds since the epoch.
      type: float
      returned: success
    days:
      description: For how many days, in UTC, no execution is missing.
      type: int
      returned: success
    roles:
      description: The names of the allowlists that counted.
      type: list
      elements: str
      returned: success
    groups:
      description: The groups of the host in the inventory.
      type: list
      elements: str
      returned: success
ended:
  description: Earlier findings whose program an allowlist or an exception has now.
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
      description: What allows it.
      type: str
      returned: success
coverage:
  description:
    - Entries of the scopes V(programs) and V(containers), and V(mounts) and V(enforcement) if an allowlist is for the
      host. They say since when executions are known, what could not be read, what was not judged, what packages
      explain, and what fapolicyd does not stop.
    - Without an allowlist, what could not be read is in the note of an entry, and its status is V(checked).
  type: list
  elements: dict
  returned: success
checkpoint:
  description:
    - What the host remembers. M(bulwark.servers.findings) keeps it together with what was found.
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
