#!/usr/bin/python
# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: file_integrity_info
short_description: Compare a host's files with their baseline
version_added: 0.1.0
author:
  - bulwark.servers contributors (@bulwark-servers)
description:
  - Reads the files that the baseline of M(bulwark.servers.file_integrity) covers and returns what was created,
    deleted, renamed or modified since, with the attributes before and after. File contents never leave the host.
  - A change is explained, and no finding, when the owning package (dpkg or rpm) ships what is there now and something
    signed proves it - a signed repository index together with the archive that apt keeps, or the signature of an RPM
    package, by a key that the baseline has.
  - A change that only the host's own records explain is claimed. All that one package claims is one informational
    finding. A file by which accounts authenticate, that starts something or that is set-user-id keeps its severity.
  - The baseline must carry the seal that the findings store on the controller holds. One that was edited or removed
    on the host is a finding, and then nothing counts as checked. Neither does anything where the controller holds no
    seal, though what differs from the baseline is shown.
  - The watches that were sealed in the baseline are what is compared. Where O(watches) differ from them,
    RV(ignore:coverage) says so; M(bulwark.servers.file_integrity) extends the baseline.
extends_documentation_fragment:
  - bulwark.servers.attributes
  - bulwark.servers.attributes.info_module
  - bulwark.servers.attributes.linux
  - bulwark.servers.file_integrity
options:
  default_watches:
    description:
      - Whether what the collection watches by default is asked for, besides O(watches).
      - Without it and without O(watches), nothing in particular is asked for, and what the baseline has is compared.
    type: bool
    default: false
  rehash:
    description:
      - V(always) reads every file.
      - V(changed) reads a file only when its mode, owner, size, modification time, change time, inode or link count
        differs from the baseline, and lists a directory only when its inode or change time does, which takes a fraction
        of the time.
      - V(changed) trusts the change time, which programs can't set. It misses a change made by someone with root's
        rights who sets the system clock back while writing, writes to the block device or a disk image below the
        file system or mounts another one in its place, or loads code into the kernel; and disk corruption.
      - Files that changed while they were recorded or in the minute before, files of a watch that doesn't record all of
        V(size), V(mtime), V(ctime) and V(inode), and what is on a file system that keeps no such time (vfat), whose
        times need not tell (network, FUSE, tmpfs), or that was mounted since, are always read.
    type: str
    choices: [always, changed]
    default: always
  max_changes:
    description:
      - How many changes are returned one by one. The most severe come first, and all are counted. What is left out
        makes one further finding and is named in RV(ignore:coverage).
    type: int
    default: 1000
notes:
  - Run as another user than root, it compares what that user can read with that user's own baseline, and says what
    it could not read.
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

- name: Show what changed
  ansible.builtin.debug:
    msg: "{{ item.kind }} {{ item.path }} ({{ item.attributes | join(', ') }})"
  loop: "{{ integrity.changes }}"
"""

RETURN = r"""
findings:
  description:
    - OCSF events of the changes that no package explains, of programs that don't match their package, and of a
      baseline that was tampered with.
    - The module returns them as C(detections), which the action plugin turns into findings.
  type: list
  elements: dict
  returned: success
coverage:
  description:
    - For each watch how many entries were compared, and what could not be and why.
    - The scope V(baseline_seal) says whether the controller could verify the baseline, and V(packages) what could not
      be compared with its package, when something had to be.
    - C(explained_count) and C(explained) say how many changes of a watch package activity explains, and which it is.
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
      description: The path, with what can't be shown as backslash escapes.
      type: str
      returned: success
    previous_path:
      description: The path before it was renamed.
      type: str
      returned: when RV(changes[].kind=renamed)
    kind:
      description:
        - V(created), V(deleted), V(modified), V(renamed), V(replaced_type) or V(package_mismatch).
        - V(mounted), V(unmounted) or V(remounted) where another file system is at the path than was. Nothing at or
          below it was compared.
      type: str
      returned: success
    attributes:
      description: The attributes that differ.
      type: list
      elements: str
      returned: success
    watch:
      description: The watch that the path belongs to.
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
  description: How many changes need review, including those that RV(changes) leaves out.
  type: int
  returned: success
explained:
  description: The package activity that explains changes.
  type: list
  elements: dict
  returned: success
  contains:
    package:
      description: Name of the package.
      type: str
      returned: success
    version:
      description: Version of the package, and of one that was removed the version that it had.
      type: str
      returned: success
    count:
      description: How many changes it explains.
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
  description: How many changes are explained by packages.
  type: int
  returned: success
claimed:
  description: What only the host's own records say of changes, in the form of RV(explained); the message says why.
  type: list
  elements: dict
  returned: success
claimed_count:
  description: How many changes are claimed.
  type: int
  returned: success
packages_changed:
  description:
    - Whether signed packages were installed or upgraded since the baseline, so that accepting V(explained) brings its
      list of packages up to date, also where it explains no change.
  type: bool
  returned: success
baseline:
  description: The baseline that was compared with.
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
      description: When it was first made, in seconds since the epoch.
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
      description: How many files, directories and other nodes it records.
      type: int
      returned: when it can be read
    watches:
      description: The names of its watches.
      type: list
      elements: str
      returned: when it can be read
statistics:
  description: What the module did.
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
