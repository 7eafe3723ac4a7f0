#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: file_integrity
short_description: Keep the baseline of a host's files
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Records the attributes and digests of the files that matter on a Linux host, so that
    M(bulwark.servers.file_integrity_info) can tell what was created, deleted, renamed or modified since.
  - The baseline stays on the host; the file contents never leave it. The findings store on the controller keeps the
    digest of the baseline, its seal, so that a baseline edited on the host is found out.
  - When the baseline is made, each packaged program and library is compared with the digest that its package
    (dpkg or rpm) records, so that a program replaced before the first run is found too.
  - A baseline that exists is only changed by O(accept), or extended for watches that are new or were changed. What
    is already in it stays as it is, so that a change waiting for review is not accepted by the way.
  - A baseline on the host that the controller holds no seal for (its store is a new one, or somebody put the baseline
    there) is left as it is, and so is one that was tampered with. The module says so with a warning, fails with
    O(accept), and nothing counts as checked. O(state=absent) and then O(state=present) take a new one.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.linux
  - bulwark.servers.file_integrity
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
      - V(present) makes sure that there is a baseline of all O(watches), and accepts what O(accept) lists.
      - V(absent) removes the baseline and, on the controller, its seal. It is also the way out when a baseline was
        tampered with, was removed or is damaged, or the controller holds no seal for it.
    type: str
    choices: [present, absent]
    default: present
  accept:
    description:
      - The changes to take into the baseline after they were reviewed.
      - V(all) takes all, V(explained) those that signed packages explain, V(claimed) those that only the host's own
        records explain. Everything else is an C(id) or a C(path) from
        RV(bulwark.servers.file_integrity_info#module:changes).
      - These three also bring the baseline's list of packages up to date, which ends the time in which what these
        packages' programs generate is explained. It explains nothing that was not explained before. With V(explained)
        only signed packages move on.
      - With O(accept), O(watches) are left as they are in the baseline.
      - An C(id) takes exactly the state that was reviewed, a C(path) the one that is there when the module runs.
      - When one of the listed changes isn't there any more, or is another one by now, nothing is accepted and the
        module fails, naming it.
    type: list
    elements: str
  reason:
    description: Why the changes are accepted. Required with O(accept), kept in the baseline.
    type: str
  accepted_by:
    description:
      - Who accepts the changes. Required with O(accept), kept in the baseline. The action plugin fills in who runs
        the play.
    type: str
  default_watches:
    description: Whether to watch what the collection watches by default, besides O(watches).
    type: bool
    default: true
  max_changes:
    description: How many changes are returned one by one. The most severe come first, and all are counted.
    type: int
    default: 1000
  lock_timeout:
    description:
      - Seconds to wait for another run that is writing the same baseline or having it sealed.
      - Then the module fails or, where there is a baseline and nothing is accepted, warns that it was left as it is.
      - Where nothing has to be changed, and for comparing, nobody has to wait.
    type: int
    default: 60
  _phase:
    description:
      - Which half of changing baseline and seal together to do. For the action plugin only, which fills it in.
    type: str
    choices: [stage, commit, abort]
  _digest:
    description:
      - The digest of the staged baseline to take over. For the action plugin only, which fills it in.
    type: str
notes:
  - Run as another user than root, it records what that user can read, and says what it could not.
  - Accepting needs memory in proportion to the number of accepted changes, about 1 KB each.
seealso:
  - module: bulwark.servers.file_integrity_info
"""

EXAMPLES = r"""
- name: Make the first baseline of what the collection watches, and of an application
  bulwark.servers.file_integrity:
    watches:
      - name: shop
        paths: [/srv/shop]
        exclude: [/srv/shop/cache, "*.pyc"]

- name: See what has changed
  bulwark.servers.file_integrity_info:
  register: integrity

- name: Take what package upgrades explain into the baseline
  bulwark.servers.file_integrity:
    accept: [explained]
    reason: Weekly upgrade

- name: Accept two reviewed changes, one exactly as it was reviewed and one as it is now
  bulwark.servers.file_integrity:
    accept:
      - 3f0c4f7e9ab21d55c1d04be6a8f17720
      - /etc/ssh/sshd_config
    reason: CHG-2231, new bastion

- name: Start anew after the baseline was tampered with and the host was rebuilt
  bulwark.servers.file_integrity:
    state: absent
"""

RETURN = r"""
baseline:
  description: The baseline as it is after the module ran.
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
      description: When it was first made, in seconds since the epoch.
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
      description: How many files, directories and other nodes it records.
      type: int
      returned: when it exists
    watches:
      description: The names of its watches.
      type: list
      elements: str
      returned: when it exists
created:
  description: Whether there was no baseline before, so that RV(findings) and RV(coverage) are those of the whole host.
  type: bool
  returned: success
watches_added:
  description: Names of the watches that the baseline was extended for.
  type: list
  elements: str
  returned: when the baseline was extended
watches_removed:
  description: Names of the watches that the baseline had and that were not asked for any more.
  type: list
  elements: str
  returned: when the baseline was extended
watches_changed:
  description: Names of the watches that were defined in another way before.
  type: list
  elements: str
  returned: when the baseline was extended
accepted:
  description: The changes that were accepted, or would be in check mode; those that packages explain come last.
  type: list
  elements: dict
  returned: when O(accept) is given
  contains:
    id:
      description: Identifies the path and the state that was accepted.
      type: str
      returned: success
    path:
      description: The path, with what can't be shown as backslash escapes.
      type: str
      returned: success
    kind:
      description:
        - V(created), V(deleted), V(modified), V(renamed), V(replaced_type) or V(package_mismatch).
        - V(mounted), V(unmounted) or V(remounted) where another file system is at the path than was.
      type: str
      returned: success
    explained:
      description: Whether a package explains the change.
      type: bool
      returned: success
accepted_count:
  description: How many changes were accepted; RV(accepted) lists at most O(max_changes) of them.
  type: int
  returned: when O(accept) is given
findings:
  description:
    - OCSF events of what was found while the baseline was made or extended, above all programs that do not match
      their package.
    - The module returns them as C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - For each watch what was read while the baseline was made, extended or compared, and what could not be and why.
      Empty when nothing had to be read.
    - The scope V(packages) says what could not be compared with its package, and V(baseline_seal) with C(note) that a
      baseline was taken.
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
  description: What the module did.
  type: dict
  returned: when files were read
  sample:
    entries: 48210
    directories: 4431
    bytes_read: 3812004551
    seconds: 3.9
    workers: 2
staged_digest:
  description: The digest of a baseline that was staged for the action plugin to seal.
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
