# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that file_integrity and file_integrity_info share."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the baseline is, how the host is read, and how gently."""

    DOCUMENTATION = r"""
options:
  baseline:
    description:
      - Name of the baseline, for a host that keeps more than one. Findings and coverage do not tell baselines of a
        host apart, so give their watches different names and paths.
      - Letters, digits, C(.), C(_) and C(-); it starts with a letter or digit.
    type: str
    default: default
  state_dir:
    description:
      - Directory on the host that holds the baselines, as an absolute path. It is made with mode C(0700). One that is
        there already keeps its mode, and nothing is written in it unless that is C(0700).
      - It is refused when it is a symbolic link, belongs to another account than root or the one that runs the module,
        or can be written by group or others. So is a path where one of the directories above it belongs to another
        account or can be written by others, who could exchange it, unless that directory is sticky as C(/tmp) is.
      - Defaults to C(/var/lib/bulwark) for root, and to C($XDG_STATE_HOME/bulwark) (C(~/.local/state/bulwark)) for
        others.
    type: path
  watches:
    description:
      - What to watch. The collection's own watches are added by the action plugin of
        M(bulwark.servers.file_integrity); see its O(bulwark.servers.file_integrity#module:default_watches).
      - A path that several watches cover belongs to the watch with the most specific path, and is recorded once.
        Of equally specific ones the later in the list wins.
      - A path that does not exist is no error; what appears there later is reported as created. A watch of yours that
        matches nothing at all is named in RV(ignore:coverage) and does not count as checked in full.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the watch. It is also the scope in RV(ignore:coverage).
        type: str
        required: true
      paths:
        description:
          - Absolute paths as globs. C(*), C(?) and C([]) match within one path component, including leading dots.
            A component C(**) matches any number of components. C([[]) stands for the character C([).
          - C(~/) in front stands for the home directory of each account in C(/etc/passwd).
          - A path that is a symbolic link itself is recorded as a link and not followed. Links of root on the way to a
            path without globs, as in C(/bin/login) where C(/bin) is a link, are followed, and recorded too.
        type: list
        elements: str
        required: true
      exclude:
        description:
          - Globs of what this watch leaves out, with all that is below. With a C(/) in front they are matched
            against the whole path, without any C(/) against the name at any depth.
          - An entry that one watch excludes still belongs to another watch that covers it.
        type: list
        elements: str
        default: []
      include:
        description:
          - Globs of which entries this watch records, written as in O(watches[].exclude). Directories are searched
            all the same.
          - Everything when empty.
        type: list
        elements: str
        default: []
      recurse:
        description:
          - How many levels below each path to watch. V(0) is only the path itself, V(-1) all levels.
        type: int
        default: -1
      attributes:
        description:
          - Which attributes to record and compare. V(content) is the hashes. All when not given.
          - Size, links, times and inode of a directory are never compared, because they follow from what happens in
            it, which is reported itself.
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
          - Algorithms for the digests of the content of regular files.
        type: list
        elements: str
        choices: [blake2b, blake2s, md5, sha1, sha224, sha256, sha384, sha512, sha3_256, sha3_512]
        default: [sha256]
      filesystems:
        description:
          - V(local) leaves out what is mounted from a network file system (NFS, CIFS, Ceph, 9p, FUSE and the like) and
            says so in RV(ignore:coverage), and pseudo file systems such as proc and sysfs. V(all) reads them too.
        type: str
        choices: [local, all]
        default: local
      category:
        description: What kind of file this is, which decides the alert and its severity.
        type: str
        default: other
      alert:
        description: Content for the classification of changes, as the collection's watches define it.
        type: raw
      techniques:
        description:
          - MITRE ATT&CK techniques that a change of these files can mean, as the collection's watches define them.
        type: raw
  disabled_watches:
    description: Names of the collection's watches to leave out.
    type: list
    elements: str
    default: []
  time_budget:
    description:
      - Seconds after which the module stops reading files and returns what it has. What was left out is named in
        RV(ignore:coverage). V(0) means no limit.
      - One file may take a tenth of the time that is left, and at least a second, so that a huge one is left out and
        named, and the rest is read. Holes of more than 128 MiB in a file cost nothing; smaller ones of all files of an
        account other than root may take a tenth of the budget together.
    type: int
    default: 0
  workers:
    description:
      - How many processes read files at the same time, one or more, and at most one for each processor the module may
        use.
    type: int
    default: 2
  priority:
    description:
      - V(idle) leaves processor and disk to everything else on the host (nice 19 and the idle I/O class).
    type: str
    choices: [idle, normal]
    default: idle
  _default_names:
    description:
      - Which watches are the collection's own. For the action plugin only, which fills it in.
    type: list
    elements: str
  _derived:
    description:
      - Which files programs generate when packages change. For the action plugin only, which fills it in.
    type: list
    elements: dict
  _expected_digests:
    description:
      - The seals that the controller holds for this baseline. For the action plugin only, which fills it in.
    type: list
    elements: str
  store:
    description:
      - URL of the findings store on the controller, which holds the seals of the baselines.
      - Used by the action plugin, never sent to the host. See M(bulwark.servers.findings).
    type: str
"""
