# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code that the kernel puts into each process (vdso(7)): nobody else has reason to write there."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import tracers
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import comparing
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

NAME = b"[vdso]"
_OWN = re.compile(rb"^([0-9a-f]{1,16})-([0-9a-f]{1,16}) r-xp [^\n]*\[vdso\]$", re.MULTILINE)


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield it where it was changed.

    Its pages are the kernel's and the same for all. One that is the process's own was written. It is compared with ours
    where that is for the same kind of processes, by its size; where it isn't, that it was written has to do.
    """
    for mapping in view.maps:
        if (
            mapping.path == NAME
            and mapping.inode == 0
            and view.pages(mapping).private
            and _differs(view, host, mapping)
        ):
            severity = "informational" if tracers.is_recorder(view, host) else None
            detail = "the kernel's code in the process (vDSO) was changed"
            yield Sign("vdso_changed", detail, (facts.describe(view, mapping),), severity)


def _differs(view: View, host: Host, mapping: Mapping) -> bool:
    own: bytes = host.remember("vdso", _own)
    if len(own) != mapping.size:
        return True
    for address, data in facts.pieces(view, view.pages(mapping).private):
        place = address - mapping.start
        if comparing.differences(data, own[place : place + len(data)], 0):
            return True
    return False


def _own() -> bytes:
    """Return that of the process we are; nothing where it can't be read."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            found = _OWN.search(maps.read())
        if found is None:
            return b""
        start, end = int(found.group(1), 16), int(found.group(2), 16)
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(start)
            return memory.read(end - start)
    except (OSError, OverflowError):
        return b""
