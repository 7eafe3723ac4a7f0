#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_inventory_info
short_description: List the programs, scripts and unusual libraries that ran on a host
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads the executions in the audit logs that the host still has, and the running processes. Lists each program,
    script and unusual library once, with its digest, its package, the accounts that can write to it, the accounts that
    ran it, and the number of executions.
  - It stores nothing on the host, and does not affect M(bulwark.servers.app_control_info), which remembers programs
    from scan to scan.
  - The log has no digests, so they are of the present file. RV(programs[].content) says whether this is the file that
    ran.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.app_control
  - bulwark.servers.automation
notes:
  - The module does not see code in arguments and pipes, and files that a script or program reads itself, such as by
    C(source) of a shell or C(import) of Python.
  - The audit rule group C(exec) of M(bulwark.servers.audit_rules) records executions. Without it the module sees
    running processes only.
seealso:
  - module: bulwark.servers.app_control_info
  - module: bulwark.servers.audit_rules
"""

EXAMPLES = r"""
- name: Read which programs ran
  bulwark.servers.app_inventory_info:
  register: inventory

- name: Show programs that belong to no package
  ansible.builtin.debug:
    msg: "{{ item.path }} ({{ item.users | join(', ') }})"
  loop: "{{ inventory.programs | selectattr('verification', 'equalto', 'unpackaged') }}"
"""

RETURN = r"""
programs:
  description: Each file that ran. Text from the host has backslash escapes for unsafe characters.
  type: list
  elements: dict
  returned: success
  contains:
    kind:
      description: V(program), V(script), or V(library) for a library from an unusual place.
      type: str
      returned: success
    path:
      description:
        - The path as the kernel names it. C(DIRECTORY/*) stands for many rarely used files of a directory that do not
          exist any more.
      type: str
      returned: success
    image:
      description:
        - The image of its container, or the beginning of the container's id. Empty on the host itself, and V(?) if the
          container ended before the module ran.
      type: str
      returned: success
    interpreter:
      description: The interpreter of a script.
      type: str
      returned: success
    sha256:
      description: The digest of the content, empty if unknown.
      type: str
      returned: success
    content:
      description:
        - V(present) means that the file that ran still exists, V(changed) that it was written or replaced after the
          newest execution, V(gone) that it does not exist, and V(memory) that it is a file in memory.
      type: str
      returned: success
    manager:
      description: V(dpkg) or V(rpm), if a package owns the path.
      type: str
      returned: success
    package:
      description: The package that owns the path.
      type: str
      returned: success
    version:
      description: The version of the package.
      type: str
      returned: success
    verification:
      description:
        - V(verified) if the content is what the package records, V(modified) if it is not, V(no_digest) if the package
          records no digest, V(unpackaged) if no package owns the path, V(unknown) if it could not be read.
      type: str
      returned: success
    origin:
      description:
        - For an RPM package, the short id of the signing key. For a Debian package, V(signed) if a signed repository
          index has this version.
      type: str
      returned: success
    owner:
      description: The account that owns the file.
      type: str
      returned: success
    writers:
      description: Accounts other than root that can write to the file, or to a directory above it.
      type: list
      elements: str
      returned: success
    first:
      description: When it was first seen, in seconds since the epoch.
      type: float
      returned: success
    last:
      description: When it was last seen, in seconds since the epoch.
      type: float
      returned: success
    days:
      description: The number of days (UTC) on which it was seen.
      type: int
      returned: success
    last_day:
      description: The newest of these days, in days since the epoch.
      type: int
      returned: success
    executions:
      description: The number of executions. A process that already ran counts once.
      type: int
      returned: success
    explained:
      description: The number of executions that known automation explains.
      type: int
      returned: success
    users:
      description: The newest eight accounts that ran it. After a sign-in, the account that signed in.
      type: list
      elements: str
      returned: success
    parents:
      description: The newest eight programs and scripts that started it.
      type: list
      elements: str
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
findings:
  description: Always empty. M(bulwark.servers.app_control_info) compares programs with allowlists.
  type: list
  elements: dict
  returned: success
coverage:
  description: Entries of the scopes V(programs) and V(containers).
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: I001
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.collect import collect


def main() -> None:
    run_module(AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True), collect)


if __name__ == "__main__":
    main()
