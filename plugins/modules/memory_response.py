#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: memory_response
short_description: Keep evidence of a process, stop it, or end it
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Takes one action on one process, which M(bulwark.servers.memory_scan_info) has found or somebody else.
  - A process is named by its id and by when it was started, so that a later one of the same id is never meant.
  - The first process of the host, parts of the kernel, the SSH server, and the processes that carry the connection of
    Ansible get no signal.
  - Keep evidence first. The memory of a process that has ended is gone.
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
      - A process that is stopped, or gone, is no change. O(action=capture) keeps evidence each time.
options:
  pid:
    description: Id of the process, as the evidence of a finding has it.
    type: int
    required: true
  started:
    description:
      - When it was started, in ticks after the boot, as the evidence of a finding has it and field 22 of
        C(/proc/PID/stat).
    type: int
    required: true
  action:
    description:
      - The action to take. V(capture) keeps evidence in the directory O(state_dir), as an archive that only root can
        read. In it are the mappings of the process, the digests of the files whose code it runs, and what is known of
        the process.
      - V(stop) freezes the process (SIGSTOP), V(continue) takes that back. V(kill) ends it (SIGKILL).
    type: str
    choices: [capture, stop, continue, kill]
    required: true
  dump:
    description:
      - Whether O(action=capture) keeps also the executable, where it has no file any more, and executable memory that
        is none of a file. What is in there may be secret, and stays on the host.
    type: bool
    default: false
  max_dump:
    description: How many MiB O(dump) keeps at most.
    type: int
    default: 64
  max_captures:
    description: How many captures the host keeps; the oldest are removed, but none that has the same O(run).
    type: int
    default: 20
  run:
    description:
      - A name for what belongs together, of letters, digits and hyphens. It becomes a part of the archive's name.
      - When O(max_captures) of the same run are kept already, nothing is captured and the task fails, so that a host
        with many suspicious processes does not push out the evidence of the first ones.
      - The playbook C(bulwark.servers.respond) sets it.
    type: str
  state_dir:
    description:
      - Directory on the host in which evidence is kept, below C(memory_scan), as an absolute path.
      - It is made with mode C(0700). One that is there already keeps its mode, and is refused unless that is C(0700).
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
  description: Whether the process still exists, and is no later one that has its id.
  type: bool
  returned: success
message:
  description: One sentence on what was done, or would be.
  type: str
  returned: success
capture:
  description: What was kept.
  type: dict
  returned: with O(action=capture), not in check mode
  contains:
    path:
      description: The archive on the host.
      type: str
      returned: success
    files:
      description: What is in it, with C(name), C(size) and C(sha256), at most 200.
      type: list
      elements: dict
      returned: success
    omitted:
      description: What is not in it, with the reason.
      type: list
      elements: str
      returned: success
    removed:
      description: Names of older archives in the same directory, which were removed as O(max_captures) says.
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
