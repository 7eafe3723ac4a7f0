#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Remove what the collection keeps on a host
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Removes the state directories of the collection from a host, with baselines, checkpoints of logs, recorded traffic,
    evidence of processes, histories and cached code. The playbook C(bulwark.servers.remove) calls it at its end.
  - It takes nothing out of force. Rules, locks and recorders are removed by their own modules with O(state=absent),
    which need their state for that, so that these come first.
  - What the collection did not make stays, and is returned in RV(left). It makes only directories and regular files
    that nobody but their owner can read. Links are not followed, and mounts not entered.
  - A directory in which another run is writing stays, after O(lock_timeout), and the task fails.
  - The store of the controller keeps findings, coverage and history of the host. How far the host's logs were read is
    forgotten there, so that a scan to come begins anew.
  - In check mode it only looks; in diff mode it shows the paths that are removed.
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
      - Capabilities whose state is removed. What several capabilities share then stays.
      - All of the collection when not given.
    type: list
    elements: str
  state_dirs:
    description:
      - Directories that hold the state of capabilities, by the name of the capability, where they are not the default.
        Absolute paths. State of a capability that is named here is removed there, and nowhere else.
      - The default is C(/var/lib/bulwark) for root, and C($XDG_STATE_HOME/bulwark) (C(~/.local/state/bulwark)) for
        other accounts. Code and answers of scans are always there.
    type: dict
    default: {}
  skip_root:
    description:
      - Whether nothing is done where the task runs as root, as it is for the state of an unprivileged account.
    type: bool
    default: false
  lock_timeout:
    description: Seconds to wait for other runs that are writing in the state.
    type: int
    default: 60
  store:
    description:
      - SQLAlchemy URL of the store on the controller; see M(bulwark.servers.findings).
    type: str
  _roots:
    description: What is in which directory, as the action plugin knows it.
    type: list
    elements: dict
notes:
  - An account other than root has a state directory of its own, which is removed by a task that runs as that account.
    As root, the module names those in the homes of the host's local accounts.
seealso:
  - module: bulwark.servers.audit_rules
  - module: bulwark.servers.file_integrity
  - module: bulwark.servers.jit_access
  - module: bulwark.servers.network_rules
  - module: bulwark.servers.traffic_recorder
"""

EXAMPLES = r"""
- name: Show what the collection keeps on the host
  bulwark.servers.host_state:
    state: absent
  check_mode: true
  diff: true

- name: Remove the evidence of processes, which was kept in another directory
  bulwark.servers.host_state:
    state: absent
    capabilities: [memory_scan]
    state_dirs:
      memory_scan: /srv/bulwark
"""

RETURN = r"""
removed:
  description: The state directories that were removed, or of which a part was.
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
      description: How many files were in it.
      type: int
      returned: always
      sample: 4
    bytes:
      description: The size of these files together.
      type: int
      returned: always
      sample: 5120
left:
  description: What stays, at most 50.
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
      description: Why it stays.
      type: str
      returned: always
      sample: it is the store of a controller
left_count:
  description: How much stays.
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
