#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: memory_response
short_description: Keep evidence of a process, stop it, or end it
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Takes one action on one process, for example one in a finding of M(bulwark.servers.memory_scan_info).
  - The process id and the start time identify the process, so that the action never hits a later one with the same id.
  - The module sends no signal to the first process of the host, parts of the kernel, the SSH server, and the processes
    of Ansible's connection.
  - Keep evidence first. The memory of a process is gone when it ends.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - A process that is already stopped, or gone, is no change. O(action=capture) keeps evidence each time.
options:
  pid:
    description: Id of the process, from the evidence of a finding.
    type: int
    required: true
  started:
    description:
      - Start of the process, in ticks after the boot, from the evidence of a finding or field 22 of C(/proc/PID/stat).
    type: int
    required: true
  action:
    description:
      - V(capture) keeps evidence in the directory O(state_dir), as an archive that only root can read. It has the
        mappings of the process, the digests of the files whose code it runs, and other facts about it.
      - V(stop) freezes the process (SIGSTOP), V(continue) resumes it. V(kill) ends it (SIGKILL).
    type: str
    choices: [capture, stop, continue, kill]
    required: true
  dump:
    description:
      - Whether O(action=capture) also keeps executable memory without a file, and the executable if its file is gone.
        They may contain secrets, and stay on the host.
    type: bool
    default: false
  max_dump:
    description: Maximum of memory that O(dump) keeps, in MiB.
    type: int
    default: 64
  max_captures:
    description: Number of captures that the host keeps. The module removes the oldest, but none of the same O(run).
    type: int
    default: 20
  run:
    description:
      - A name that groups captures, of letters, digits and hyphens. It becomes a part of the archive's name.
      - If O(max_captures) of the same run exist already, the module captures nothing and the task fails. So on a host
        with many suspicious processes, the evidence of the first ones stays.
      - The playbook C(bulwark.servers.respond) sets it.
    type: str
  state_dir:
    description:
      - Absolute path of the directory on the host. Evidence is below C(memory_scan) in it.
      - The module creates it with mode C(0700). An existing directory keeps its mode, and is refused unless that is
        C(0700).
      - Defaults to C(/var/lib/bulwark).
    type: path
  lock_timeout:
    description: Seconds to wait for another capture on the same host.
    type: int
    default: 60
seealso:
  - module: bulwark.servers.memory_scan_info
  - module: bulwark.servers.memory_scan_respond
"""

EXAMPLES = r"""
- name: Keep evidence, with memory that no file has
  bulwark.servers.memory_response:
    pid: 4711
    started: 1234567
    action: capture
    dump: true

- name: Freeze it while somebody looks
  bulwark.servers.memory_response:
    pid: 4711
    started: 1234567
    action: stop
"""

RETURN = r"""
exists:
  description: Whether this process still exists. A later process with the same id does not count.
  type: bool
  returned: success
message:
  description: One sentence on the action or, in check mode, on what it would do.
  type: str
  returned: success
capture:
  description: The evidence.
  type: dict
  returned: with O(action=capture), not in check mode
  contains:
    path:
      description: The archive on the host.
      type: str
      returned: success
    files:
      description: Its files, with C(name), C(size) and C(sha256), at most 200.
      type: list
      elements: dict
      returned: success
    omitted:
      description: Data that it lacks, with the reason.
      type: list
      elements: str
      returned: success
    removed:
      description: Names of older archives in the same directory that were removed because of O(max_captures).
      type: list
      elements: str
      returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.apply import apply
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import apply_spec


def main() -> None:
    module = AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True)
    run_module(module, apply)


if __name__ == "__main__":
    main()
