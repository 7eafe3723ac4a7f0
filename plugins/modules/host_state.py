#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Remove what the collection keeps on a host
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Removes the state directories of the collection from a host, with baselines, checkpoints of logs, recorded traffic,
    evidence of processes, histories and cached code. The playbook C(bulwark.servers.remove) calls it at its end.
  - Rules, locks and recorders stay in force. Remove them first, by their own modules with O(state=absent), because
    these modules need the state.
  - Files that the collection did not make stay, and RV(left) lists them. The collection makes only directories and
    regular files that only their owner can read. The module follows no links and enters no mounts.
  - If another run still writes to a directory after O(lock_timeout), the directory stays and the task fails.
  - The store of the controller keeps findings, coverage and history of the host. It forgets how far the host's logs
    were read, so that a later scan begins anew.
  - In check mode nothing is removed; in diff mode the removed paths are shown.
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
    description: V(absent) removes the state.
    type: str
    choices: [absent]
    required: true
  capabilities:
    description:
      - Capabilities whose state is removed. State that several capabilities share then stays.
      - By default all capabilities of the collection.
    type: list
    elements: str
  state_dirs:
    description:
      - Absolute paths of state directories that are not the default, by the name of the capability. The state of such a
        capability is removed from this directory only.
      - The default is C(/var/lib/bulwark) for root, and C($XDG_STATE_HOME/bulwark) (C(~/.local/state/bulwark)) for
        other accounts. Code and answers of scans are always there.
    type: dict
    default: {}
  skip_root:
    description:
      - Whether the task does nothing as root, because it is for the state of an unprivileged account.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for other runs that write to the state.
    type: int
    default: 60
  store:
    description:
      - SQLAlchemy URL of the store on the controller; see M(bulwark.servers.findings).
    type: str
  _roots:
    description: The contents of each directory, set by the action plugin.
    type: list
    elements: dict
notes:
  - Each account other than root has its own state directory. Remove it by a task that runs as that account. As root,
    the module lists those in the homes of the host's local accounts.
seealso:
  - module: bulwark.servers.audit_rules
  - module: bulwark.servers.file_integrity
  - module: bulwark.servers.jit_access
  - module: bulwark.servers.network_rules
  - module: bulwark.servers.traffic_recorder
"""

EXAMPLES = r"""
- name: Show the state of the collection on the host
  bulwark.servers.host_state:
    state: absent
  check_mode: true
  diff: true

- name: Remove the evidence of processes from a directory that is not the default
  bulwark.servers.host_state:
    state: absent
    capabilities: [memory_scan]
    state_dirs:
      memory_scan: /srv/bulwark
"""

RETURN = r"""
removed:
  description: The state directories that were removed in whole or in part.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name of the directory.
      type: str
      returned: always
      sample: jit
    path:
      description: Its path.
      type: str
      returned: always
      sample: /var/lib/bulwark/jit
    files:
      description: The number of its files.
      type: int
      returned: always
      sample: 4
    bytes:
      description: The total size of these files.
      type: int
      returned: always
      sample: 5120
left:
  description: Files and directories that stay, at most 50.
  type: list
  elements: dict
  returned: always
  contains:
    path:
      description: Its path.
      type: str
      returned: always
      sample: /var/lib/bulwark/findings.db
    reason:
      description: The reason why it stays.
      type: str
      returned: always
      sample: it is the store of a controller
left_count:
  description: The number of files and directories that stay.
  type: int
  returned: always
  sample: 1
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.host_state.apply import apply
from ansible_collections.bulwark.servers.plugins.module_utils.host_state.options import apply_spec


def main() -> None:
    run_module(AnsibleModule(argument_spec=apply_spec(), supports_check_mode=True), apply)


if __name__ == "__main__":
    main()
