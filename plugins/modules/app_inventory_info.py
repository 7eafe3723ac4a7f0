#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: app_inventory_info
short_description: List the programs, scripts and unusual libraries that ran on a host
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads the executions in the audit logs that the host still has, and the processes that run now. Lists each program,
    script and unusual library once, with its digest, its package, who can write to it, who ran it and how often.
  - Nothing is kept on the host, and nothing changes for M(bulwark.servers.app_control_info), which remembers programs
    from scan to scan.
  - The log has no digests. They are of the file that lies there now. RV(programs[].content) says whether that is the
    file that ran.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.app_control
  - bulwark.servers.automation
notes:
  - Code in arguments and pipes is not seen, and neither is what a script or program reads itself, such as C(source) of
    a shell or C(import) of Python.
  - The audit rule group C(exec) of M(bulwark.servers.audit_rules) records executions. Without it only the processes
    that run now are seen.
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
  description: Each file that ran. Text from the host has backslash escapes for what is not safe to show.
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
        - The file as the kernel names it. C(DIRECTORY/*) stands for many files of a directory that ran seldom and are
          gone.
      type: str
      returned: success
    image:
      description:
        - The image of the container that it ran in, or the beginning of the container's id; empty on the host itself.
          V(?) where a container was gone before the look.
      type: str
      returned: success
    interpreter:
      description: What runs a script.
      type: str
      returned: success
    sha256:
      description: The digest of the content, empty where it could not be taken.
      type: str
      returned: success
    content:
      description:
        - V(present), the file that ran is there. V(changed), it was written or replaced after the newest execution.
          V(gone), there is no such file. V(memory), it is a file in memory.
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
        - V(verified), the content is what the package records. V(modified), it is not. V(no_digest), the package
          records none. V(unpackaged), no package owns the path. V(unknown), it could not be read.
      type: str
      returned: success
    origin:
      description:
        - Of an RPM package, the short id of the key that signed it. Of a Debian package, V(signed) if a signed
          repository index has this version.
      type: str
      returned: success
    owner:
      description: The account that owns the file.
      type: str
      returned: success
    writers:
      description: Who besides root can write to the file, or to a directory above it.
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
      description: On how many days, in UTC, it was seen.
      type: int
      returned: success
    last_day:
      description: The newest of these, in days since the epoch.
      type: int
      returned: success
    executions:
      description: How often it was executed. A process that already ran counts once.
      type: int
      returned: success
    explained:
      description: How many of them known automation explains.
      type: int
      returned: success
    users:
      description: The accounts that ran it, by sign-in where there was one; the newest eight.
      type: list
      elements: str
      returned: success
    parents:
      description: The programs and scripts that started it; the newest eight.
      type: list
      elements: str
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
findings:
  description: Always empty; M(bulwark.servers.app_control_info) compares programs with allowlists.
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
