#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: file_integrity_info
short_description: Compare a host's files with their baseline
version_added: 0.2.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Compares the files in the baseline of M(bulwark.servers.file_integrity) with the host. It returns the files that
    were created, deleted, renamed or modified since, with their attributes before and after. File contents never leave
    the host.
  - An explained change is no finding. It needs an owning package (dpkg or rpm) that ships the file as it is now, and
    signed data that proves it, with a key of the baseline. Such data is a signed repository index together with the
    archive that apt keeps, or the signature of an RPM package.
  - A claimed change is explained by the host's own records only. All claims of one package are one informational
    finding. Files by which accounts authenticate, that start something or that are set-user-id keep their severity.
  - The baseline must match the seal in the store on the controller. If somebody edited or removed it on the host, that
    is a finding, and nothing counts as checked. If the controller has no seal, the differences are returned, but
    nothing counts as checked either.
  - The module compares the watches in the sealed baseline. If O(watches) differ from them, RV(ignore:coverage) says so;
    M(bulwark.servers.file_integrity) extends the baseline.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.file_integrity
  - bulwark.servers.file_integrity.baseline
options:
  default_watches:
    description:
      - Whether the collection's watches are expected in the baseline, in addition to O(watches).
      - Without it and without O(watches), the module compares the watches of the baseline and expects no others.
    type: bool
    default: false
  rehash:
    description:
      - V(always) reads every file.
      - V(changed) takes a fraction of the time. It reads a file only if its mode, owner, size, modification time,
        change time, inode or link count differs from the baseline. It lists a directory only if its inode or change
        time differs.
      - V(changed) trusts the change time, which programs can't set. It misses disk corruption, and changes by somebody
        with root who sets the system clock back while writing, writes to the block device or a disk image below the
        file system, mounts another one in its place, or loads code into the kernel.
      - V(changed) always reads files that changed while they were recorded or in the minute before, and files of a
        watch that doesn't record all of V(size), V(mtime), V(ctime) and V(inode). It also reads all files on file
        systems without reliable change times (vfat, network file systems, FUSE, tmpfs) and on those that were mounted
        since the baseline.
    type: str
    choices: [always, changed]
    default: always
  max_changes:
    description:
      - Maximum of changes to return one by one. The most severe come first, and all are counted. The rest makes one
        further finding, and RV(ignore:coverage) names it.
    type: int
    default: 1000
notes:
  - Without root, the module compares the files that its user can read with this user's own baseline, and reports the
    others.
seealso:
  - module: bulwark.servers.file_integrity
"""

EXAMPLES = r"""
- name: Compare all files with the baseline
  bulwark.servers.file_integrity_info:
  register: integrity

- name: Compare quickly every hour, for at most five minutes
  bulwark.servers.file_integrity_info:
    rehash: changed
    time_budget: 300

- name: Show the changes
  ansible.builtin.debug:
    msg: "{{ item.kind }} {{ item.path }} ({{ item.attributes | join(', ') }})"
  loop: "{{ integrity.changes }}"
"""

RETURN = r"""
findings:
  description:
    - OCSF events of changes that no package explains, of programs that don't match their package, and of a baseline
      that was tampered with.
    - The module returns C(detections), and the action plugin converts them to findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - For each watch, the number of compared entries, and the entries that could not be compared, with the reason.
    - The scope V(baseline_seal) says whether the controller could verify the baseline. If files had to be compared with
      their package, the scope V(packages) lists those that could not be.
    - C(explained_count) and C(explained) have the number of explained changes in a watch, and the packages that explain
      them.
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
      explained_count: 31
      explained:
        - by: openssh-server 1:10.0p1-7
          count: 31
          examples: [/usr/sbin/sshd]
changes:
  description: The changes to review, the most severe first, at most O(max_changes).
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: Accepts exactly this change in O(bulwark.servers.file_integrity#module:accept).
      type: str
      returned: success
    path:
      description: The path, with unprintable characters as backslash escapes.
      type: str
      returned: success
    previous_path:
      description: The path before it was renamed.
      type: str
      returned: when RV(changes[].kind=renamed)
    kind:
      description:
        - V(created), V(deleted), V(modified), V(renamed), V(replaced_type) or V(package_mismatch).
        - V(mounted), V(unmounted) or V(remounted) if the file system at the path changed. The module compared nothing
          at or below the path.
      type: str
      returned: success
    attributes:
      description: The attributes that differ.
      type: list
      elements: str
      returned: success
    watch:
      description: The watch of the path.
      type: str
      returned: success
    alert:
      description: The alert that the change raises.
      type: str
      returned: success
    severity:
      description: The severity of the change.
      type: str
      returned: success
    message:
      description: One sentence on what the change means.
      type: str
      returned: success
changes_count:
  description: Number of changes to review, including those that RV(changes) leaves out.
  type: int
  returned: success
explained:
  description: The packages that explain changes.
  type: list
  elements: dict
  returned: success
  contains:
    package:
      description: Name of the package.
      type: str
      returned: success
    version:
      description: Version of the package; for a removed package, its last version.
      type: str
      returned: success
    count:
      description: Number of changes that it explains.
      type: int
      returned: success
    paths:
      description: Some of the paths.
      type: list
      elements: str
      returned: success
    message:
      description: The explanation.
      type: str
      returned: success
explained_count:
  description: Number of changes that packages explain.
  type: int
  returned: success
claimed:
  description: Changes that only the host's own records explain, in the form of RV(explained); the message says why.
  type: list
  elements: dict
  returned: success
claimed_count:
  description: Number of claimed changes.
  type: int
  returned: success
packages_changed:
  description:
    - Whether signed packages were installed or upgraded since the baseline. If so, accepting V(explained) updates the
      baseline's list of packages, even if no change is explained.
  type: bool
  returned: success
baseline:
  description: The baseline of the comparison.
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
      returned: when it can be read
    created:
      description: When the baseline was taken, in seconds since the epoch.
      type: float
      returned: when it can be read
    updated:
      description: When it was last changed, in seconds since the epoch.
      type: float
      returned: when it can be read
    updated_by:
      description: Who changed it last.
      type: str
      returned: when it can be read
    reason:
      description: Why it was changed last.
      type: str
      returned: when it can be read
    entries:
      description: Number of files, directories and other nodes in it.
      type: int
      returned: when it can be read
    watches:
      description: The names of its watches.
      type: list
      elements: str
      returned: when it can be read
statistics:
  description: Figures about the run.
  type: dict
  returned: when files were read
  sample:
    entries: 48210
    directories: 4431
    bytes_read: 3812004551
    seconds: 1.9
    workers: 2
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: I001
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import run_module
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.collect import collect


def main() -> None:
    module = AnsibleModule(argument_spec=collect_spec(), supports_check_mode=True)
    run_module(module, collect)


if __name__ == "__main__":
    main()
