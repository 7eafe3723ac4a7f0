# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that file_integrity and file_integrity_info share, and those that their Windows modules have, too."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the baseline is, how the host is read, and how gently."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description:
      - Absolute path of the directory on the host for the baselines. The module creates it with mode C(0700). An
        existing directory keeps its mode, and the module writes nothing in it unless that is C(0700).
      - The module refuses a symbolic link, a directory of another account than root or its own, and one that group or
        others can write. It also refuses a path if a directory above belongs to another account or others can write in
        it, because they could exchange it. A sticky directory above, such as C(/tmp), is allowed.
      - Defaults to C(/var/lib/bulwark) for root, and to C($XDG_STATE_HOME/bulwark) (C(~/.local/state/bulwark)) for
        others.
    type: path
  watches:
    description:
      - The files to watch. The action plugin of M(bulwark.servers.file_integrity) adds the collection's own watches;
        see its O(bulwark.servers.file_integrity#module:default_watches).
      - If several watches cover a path, it belongs to the watch with the most specific path, and is recorded once.
        Among equally specific paths the later one in the list wins.
      - A path that does not exist is no error; a file that appears there later is reported as created. A watch of yours
        that matches nothing at all is named in RV(ignore:coverage) and is not checked in full.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the watch. It is also the scope in RV(ignore:coverage).
        type: str
        required: true
      paths:
        description:
          - Absolute paths as globs. C(*), C(?) and C([]) match within one path component, including leading dots. A
            component C(**) matches any number of components. C([[]) is the character C([).
          - A leading C(~/) is the home directory of each account in C(/etc/passwd).
          - A path that is itself a symbolic link is recorded as a link and not followed. In a path without globs, links
            of root on the way, as in C(/bin/login) if C(/bin) is a link, are followed, and recorded too.
        type: list
        elements: str
        required: true
      exclude:
        description:
          - Globs of entries to leave out, with everything below them. A glob with a leading C(/) is matched against the
            whole path, one without any C(/) against the name at any depth.
          - An entry that one watch excludes still belongs to another watch that covers it.
        type: list
        elements: str
        default: []
      include:
        description:
          - Globs of the entries to record, written like O(watches[].exclude). All directories are searched.
          - Everything if empty.
        type: list
        elements: str
        default: []
      recurse:
        description:
          - Number of levels below each path to watch. V(0) is only the path itself, V(-1) all levels.
        type: int
        default: -1
      attributes:
        description:
          - The attributes to record and compare. V(content) is the hashes. All by default.
          - Size, links, times and inode of a directory are never compared. They follow from changes in it, which are
            reported themselves.
        type: list
        elements: str
        choices:
          - acl
          - capabilities
          - content
          - ctime
          - device
          - flags
          - group
          - inode
          - link_target
          - links
          - mode
          - mtime
          - owner
          - selinux
          - size
          - type
          - xattrs
      hashes:
        description:
          - Algorithms for the digests of regular files.
        type: list
        elements: str
        choices: [blake2b, blake2s, md5, sha1, sha224, sha256, sha384, sha512, sha3_256, sha3_512]
        default: [sha256]
      filesystems:
        description:
          - V(local) leaves out network file systems (NFS, CIFS, Ceph, 9p, FUSE and the like), names them in
            RV(ignore:coverage), and leaves out pseudo file systems such as proc and sysfs. V(all) reads them too.
        type: str
        choices: [local, all]
        default: local
      category:
        description: The kind of file, which decides the alert and its severity.
        type: str
        default: other
      alert:
        description: Classification of changes, as the collection's watches define it.
        type: raw
      techniques:
        description:
          - MITRE ATT&CK techniques of a change of these files, as the collection's watches define them.
        type: raw
  time_budget:
    description:
      - Seconds after which the module stops reading files and returns its results. RV(ignore:coverage) names the files
        that it left out. V(0) means no limit.
      - One file may take a tenth of the remaining time, and at least a second. A larger one is left out and named, and
        the rest is read. Holes of more than 128 MiB in a file take no time. Smaller holes in the files of an account
        other than root may take a tenth of the budget together.
    type: int
    default: 0
  workers:
    description:
      - Number of processes that read files, one or more, and at most one for each processor that the module may use.
    type: int
    default: 2
  priority:
    description:
      - V(idle) leaves processor and disk to everything else on the host (nice 19 and the idle I/O class).
    type: str
    choices: [idle, normal]
    default: idle
  _derived:
    description:
      - Files that programs generate when packages change. Only the action plugin sets it.
    type: list
    elements: dict
"""

    # The options that mean the same on Linux and Windows.
    BASELINE = r"""
options:
  baseline:
    description:
      - Name of the baseline, for a host with more than one. Findings and coverage do not distinguish the baselines of a
        host, so give their watches different names and paths.
      - Letters, digits, C(.), C(_) and C(-); it starts with a letter or digit.
    type: str
    default: default
  disabled_watches:
    description: Names of the collection's watches to leave out.
    type: list
    elements: str
    default: []
  _default_names:
    description:
      - The names of the collection's own watches. Only the action plugin sets it.
    type: list
    elements: str
  _expected_digests:
    description:
      - The controller's seals for this baseline. Only the action plugin sets it.
    type: list
    elements: str
  store:
    description:
      - URL of the store on the controller, which has the seals of the baselines.
      - Only the action plugin uses it; it is never sent to the host. See M(bulwark.servers.findings).
    type: str
"""
