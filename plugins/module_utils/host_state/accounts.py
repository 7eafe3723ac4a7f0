# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State that scans without root have left in the homes of accounts. Root names it, and removes none of it."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo, _safe_fs

_ACCOUNTS = "/etc/passwd"
_LONGEST = 1 << 22
_BELOW_HOME = b".local/state/bulwark"


def with_state(names: t.AbstractSet[bytes], accounts: str = _ACCOUNTS) -> t.Iterator[tuple[bytes, bytes]]:
    """Yield the local accounts whose home has state of the collection, and its path. Raises OSError.

    names: of the directories that are state. Homes on network file systems are left out: these can stall.
    """
    file_systems = _mountinfo.own_file_systems()
    with open(accounts, "rb") as stream:
        lines = stream.read(_LONGEST).splitlines()
    seen = {b"/"}
    for fields in (line.split(b":") for line in lines):
        home = os.path.normpath(fields[5]) if len(fields) == 7 and fields[5].startswith(b"/") else b"/"
        if home in seen or fields[2] == b"0" or _is_foreign(home, file_systems):
            continue
        seen.add(home)
        path = os.path.join(os.path.realpath(os.path.dirname(home)), os.path.basename(home), _BELOW_HOME)
        if names & _listed(path):
            yield fields[0], path


def _is_foreign(path: bytes, file_systems: t.Mapping[bytes, str]) -> bool:
    while path not in file_systems and path != b"/":
        path = os.path.dirname(path)
    return _safe_fs.is_foreign(file_systems.get(path, ""))


def _listed(path: bytes) -> set[bytes]:
    """Return the names in a directory, none where it can't be reached without following a link."""
    try:
        directory = _safe_fs.open_directory(path)
    except OSError:
        return set()
    try:
        return set(_safe_fs.listed(directory))
    finally:
        os.close(directory)
