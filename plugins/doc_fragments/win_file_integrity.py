# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that only win_file_integrity and win_file_integrity_info share."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the baseline is, and what of the host is watched."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description:
      - Absolute path of the directory on the host for the baselines. Only SYSTEM and Administrators may write in it,
        and the module refuses one that others can write or exchange, and a link.
      - Defaults to C(%ProgramData%\bulwark).
    type: path
  watches:
    description:
      - The files, registry keys and namespaces of WMI to watch. The action plugin of
        M(bulwark.servers.win_file_integrity) adds the collection's own watches; see its
        O(bulwark.servers.win_file_integrity#module:default_watches).
      - If several watches cover a path, it belongs to the watch with the most specific path, and is recorded once.
        Among equally specific paths the later one in the list wins.
      - A path that does not exist is no error; a file or key that appears there later is reported as created.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the watch. It is also the scope in RV(ignore:coverage).
        type: str
        required: true
      paths:
        description:
          - Absolute paths as globs. C(*) and C(?) match within one path component.
          - Environment variables of the machine such as C(%SystemRoot%) are replaced. C(%USERPROFILE%), C(%APPDATA%)
            and C(%LOCALAPPDATA%) stand for those of each account, signed in or not.
          - C(%Services%) as a whole path stands for every program, library and driver that a service names.
          - A link is recorded as a link and not followed. A volume that is mounted in a directory of a path is read.
        type: list
        elements: str
        default: []
      registry:
        description:
          - Registry keys as globs that begin with C(HKLM) or C(HKU). C(HKU\*) is every account whose registry is
            loaded.
          - The keys of 32-bit programs are below C(WOW6432Node). Two backslashes before the last name make it the name
            of a value.
        type: list
        elements: str
        default: []
      wmi:
        description:
          - Namespaces of WMI, as globs that begin with C(root). Their event subscriptions are watched. These are
            consumers, filters, bindings and consumer providers.
          - C(*) also stands for backslashes, so that C(root\*) is every namespace below C(root).
          - O(watches[].include), O(watches[].recurse) and O(watches[].attributes) have no effect on them.
        type: list
        elements: str
        default: []
      exclude:
        description:
          - Globs of entries to leave out, with everything below them. A glob with a backslash is matched against the
            whole path, one without against the name at any depth.
          - Only a glob that begins with C(WMI\\) leaves out something of WMI, as C(WMI\root\ccm).
        type: list
        elements: str
        default: []
      include:
        description:
          - Globs of the names of files and values to record. All directories and keys are searched.
          - Everything if empty.
        type: list
        elements: str
        default: []
      recurse:
        description:
          - Number of levels below each path or key to watch. V(0) is only the path itself, or the key with its values.
            V(-1) is all levels.
        type: int
        default: -1
      attributes:
        description:
          - The attributes to record and compare. V(content) is the digest and the data of values. All by default.
          - For files V(attributes), V(content), V(created), V(dacl), V(file_id), V(links), V(mtime), V(owner),
            V(reparse), V(signature), V(signer), V(size) and V(streams). For the registry V(class), V(content),
            V(dacl), V(link), V(owner), V(size) and V(type).
          - Times, size and links of a directory or key are never compared. They follow from changes in it, which are
            reported themselves.
          - V(attributes) are read-only, hidden, system and encrypted. Backups, indexing, compression and deduplication
            change the others.
        type: list
        elements: str
      category:
        description: The kind of entry, which decides the alert and its severity.
        type: str
        default: other
      alert:
        description: Classification of changes, as the collection's watches define it.
        type: raw
      techniques:
        description:
          - MITRE ATT&CK techniques of a change of these entries, as the collection's watches define them.
        type: raw
  max_changes:
    description:
      - Maximum of changes to return one by one. The most severe come first, and all are counted. The rest makes one
        further finding, and RV(ignore:coverage) names it.
    type: int
    default: 1000
  time_budget:
    description:
      - Seconds after which the module stops reading and returns its results. RV(ignore:coverage) says what it left out.
        V(0) means no limit.
    type: int
    default: 0
  _microsoft_roots:
    description:
      - SHA-1 thumbprints of Microsoft's root certificates. Only the action plugin sets it.
    type: list
    elements: str
"""
