#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: file_integrity
short_description: Keep the baseline of a host's files
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Records the attributes and digests of the files that matter on a Linux host. M(bulwark.servers.file_integrity_info)
    then reports which files were created, deleted, renamed or modified since.
  - The baseline stays on the host, and file contents never leave it. The store on the controller keeps the digest of
    the baseline, its seal, which reveals a baseline that was edited on the host.
  - The first baseline also compares each packaged program and library with the digest that its package (dpkg or rpm)
    records. So it reveals a program that was replaced before the first run.
  - Only O(accept) changes an existing baseline, or a new or changed watch extends it. Existing entries stay as they
    are, so that no change that waits for review is accepted.
  - The controller may have no seal for a baseline on the host, because its store is a new one or somebody put the
    baseline there. The module leaves such a baseline as it is, and one that was tampered with. It warns, fails with
    O(accept), and nothing counts as checked. O(state=absent) and then O(state=present) take a new one.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
  - bulwark.servers.file_integrity
  - bulwark.servers.file_integrity.baseline
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
      - V(present) ensures a baseline of all O(watches), and accepts the changes in O(accept).
      - V(absent) removes the baseline and, on the controller, its seal. Use it if a baseline was tampered with, removed
        or damaged, or if the controller has no seal for it.
    type: str
    choices: [present, absent]
    default: present
  accept:
    description:
      - Reviewed changes to take into the baseline.
      - V(all) takes all changes, V(explained) those that signed packages explain, V(claimed) those that only the host's
        own records explain. Every other value is an C(id) or a C(path) from
        RV(bulwark.servers.file_integrity_info#module:changes).
      - These three also update the baseline's list of packages. From then on, these packages no longer explain files
        that their programs generate. The update explains no further changes. With V(explained) it covers signed
        packages only.
      - With O(accept), the baseline's O(watches) stay as they are.
      - An C(id) accepts exactly the reviewed state, a C(path) the state when the module runs.
      - If one of the listed changes no longer exists or differs by now, the module accepts nothing, fails and names it.
    type: list
    elements: str
  reason:
    description: Why you accept the changes. Required with O(accept), stored in the baseline.
    type: str
  accepted_by:
    description:
      - Who accepts the changes. Required with O(accept), stored in the baseline. The action plugin sets it to the
        person who runs the play.
    type: str
  default_watches:
    description: Whether to use the collection's watches in addition to O(watches).
    type: bool
    default: true
  max_changes:
    description: Maximum of changes to return one by one. The most severe come first, and all are counted.
    type: int
    default: 1000
  lock_timeout:
    description:
      - Seconds to wait for another run that writes or seals the same baseline.
      - After that the module fails. If a baseline exists and nothing is accepted, it warns instead and leaves the
        baseline as it is.
      - A run that changes nothing does not wait, and neither does a comparison.
    type: int
    default: 60
  _phase:
    description: Which half of changing baseline and seal together to do. Only the action plugin sets it.
    type: str
    choices: [stage, commit, abort]
  _digest:
    description: The digest of the staged baseline to take over. Only the action plugin sets it.
    type: str
notes:
  - Without root, the module records the files that its user can read, and reports the others.
  - Accepting needs about 1 KB of memory for each accepted change.
seealso:
  - module: bulwark.servers.file_integrity_info
"""

EXAMPLES = r"""
- name: Make the first baseline of the collection's watches and of an application
  bulwark.servers.file_integrity:
    watches:
      - name: shop
        paths: [/srv/shop]
        exclude: [/srv/shop/cache, "*.pyc"]

- name: List the changes
  bulwark.servers.file_integrity_info:
  register: integrity

- name: Accept changes that package upgrades explain
  bulwark.servers.file_integrity:
    accept: [explained]
    reason: Weekly upgrade

- name: Accept two reviewed changes, one exactly as it was reviewed and one as it is now
  bulwark.servers.file_integrity:
    accept:
      - 3f0c4f7e9ab21d55c1d04be6a8f17720
      - /etc/ssh/sshd_config
    reason: CHG-2231, new bastion

- name: Begin again after the baseline was tampered with and the host was rebuilt
  bulwark.servers.file_integrity:
    state: absent
"""

RETURN = r"""
baseline:
  description: The baseline after the run.
  type: dict
  returned: success
  contains:
    exists:
      description: Whether there is a baseline.
      type: bool
      returned: success
    digest:
      description: The SHA-256 digest that seals it.
      type: str
      returned: when it exists
    created:
      description: When the baseline was taken, in seconds since the epoch.
      type: float
      returned: when it exists
    updated:
      description: When it was last changed, in seconds since the epoch.
      type: float
      returned: when it exists
    updated_by:
      description: Who changed it last.
      type: str
      returned: when it exists
    reason:
      description: Why it was changed last.
      type: str
      returned: when it exists
    entries:
      description: Number of files, directories and other nodes in it.
      type: int
      returned: when it exists
    watches:
      description: The names of its watches.
      type: list
      elements: str
      returned: when it exists
created:
  description: Whether the module took a first baseline, so that RV(findings) and RV(coverage) cover the whole host.
  type: bool
  returned: success
watches_added:
  description: Names of the watches that were added to the baseline.
  type: list
  elements: str
  returned: when the baseline was extended
watches_removed:
  description: Names of the watches that were removed from the baseline.
  type: list
  elements: str
  returned: when the baseline was extended
watches_changed:
  description: Names of the watches whose definition changed.
  type: list
  elements: str
  returned: when the baseline was extended
accepted:
  description:
    - The accepted changes, or in check mode those that would be accepted; those that packages explain come last.
  type: list
  elements: dict
  returned: when O(accept) is given
  contains:
    id:
      description: Identifies the path and the accepted state.
      type: str
      returned: success
    path:
      description: The path, with unprintable characters as backslash escapes.
      type: str
      returned: success
    kind:
      description:
        - V(created), V(deleted), V(modified), V(renamed), V(replaced_type) or V(package_mismatch).
        - V(mounted), V(unmounted) or V(remounted) if the file system at the path changed.
      type: str
      returned: success
    explained:
      description: Whether a package explains the change.
      type: bool
      returned: success
accepted_count:
  description: Number of accepted changes; RV(accepted) lists at most O(max_changes) of them.
  type: int
  returned: when O(accept) is given
findings:
  description:
    - OCSF events from taking or extending the baseline, mainly programs that do not match their package.
    - The module returns C(detections), and the action plugin converts them to findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - For each watch, the number of entries that were read to take, extend or compare the baseline, and the entries that
      could not be read, with the reason. Empty if nothing had to be read.
    - The scope V(packages) lists programs that could not be compared with their package. The scope V(baseline_seal)
      notes a new baseline in C(note).
  type: list
  elements: dict
  returned: success
  sample:
    - scope: programs
      status: checked
      reason:
      examined: 5213
      skipped: []
      skipped_count: 0
statistics:
  description: Figures about the run.
  type: dict
  returned: when files were read
  sample:
    entries: 48210
    directories: 4431
    bytes_read: 3812004551
    seconds: 3.9
    workers: 2
staged_digest:
  description: The digest of a staged baseline for the action plugin to seal.
  type: str
  returned: when the action plugin asked for it
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: I001
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import apply_spec
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.apply import apply


def main() -> None:
    module = AnsibleModule(
        argument_spec=apply_spec(),
        required_by={"accept": ("reason", "accepted_by")},
        supports_check_mode=True,
    )
    run_module(module, apply)


if __name__ == "__main__":
    main()
