# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What machine code for x86 does that only code does which must stand on its own.

A byte pattern alone would be found in the constants of any large program. So each is only where to look: what is
around it is decoded, and what it would do is followed (x86_trace.py).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.system_calls import Call

# Eight bytes are compared with the same tag twice.
_TAG_COMPARED = re.compile(rb"\x81[\x38-\x3f]([\s\S]{4})[\s\S]{0,8}?\x81[\x78-\x7f]\x04\1")
# The same as scasd, jnz, scasd, jnz.
_TAG_SCANNED = re.compile(rb"\xaf\x75[\x80-\xff]\x48?\xaf\x75[\x80-\xff]")
# What follows a call that probes whether an address can be read: a comparison with -EFAULT.
_FAULT = re.compile(rb"\x3c\xf2|\x48?\x83\xf8\xf2|\x48?\x3d\xf2\xff\xff\xff")
# A comparison with the beginning of an ELF file, or it as a constant.
_ELF_COMPARED = re.compile(rb"\x81[\x38-\x3f\x78-\x7f\xb8-\xbf][\s\S]?\x7fELF")
# Adding or subtracting a page, or one.
_STEPS = re.compile(
    rb"\x81[\xc0-\xc7\xe8-\xef]\x00(?:\x10\x00|\xf0\xff)[\x00\xff]|[\x48\x49]\xff[\xc0-\xcf]|\x2d\x00\x10\x00\x00"
)


def egg_hunters(data: bytes, found: t.Sequence[Call]) -> t.Iterator[int]:
    """Yield where code looks for a tag of eight bytes through memory, or probes what of it can be read."""
    matches = [*_TAG_COMPARED.finditer(data), *_TAG_SCANNED.finditer(data)]
    for match in matches:
        if _jumps_there(data[match.end() : match.end() + 16]):
            yield match.start()
    for call in found:
        if call.name in ("access", "rt_sigaction", "sigaction", "open", "chmod", "chdir", "mkdir", "unlink"):
            after = _FAULT.search(data, call.end, call.end + 8)
            if after is not None and re.search(rb"\xaf|\x81[\x38-\x3f]|\x39", data[after.end() : after.end() + 32]):
                yield call.offset


def _jumps_there(after: bytes) -> bool:
    """Say whether a jump or call to what a register points to comes soon (FF /4, FF /2)."""
    return re.search(rb"\xff[\xe0-\xe7\xd0-\xd7]", after) is not None


def elf_finders(data: bytes) -> t.Iterator[int]:
    """Yield where code looks for the beginning of an ELF image in memory, as what loads one without the loader does."""
    for match in _ELF_COMPARED.finditer(data):
        # What reads ELF files compares so, too, but not page by page or byte by byte.
        if _STEPS.search(data, max(0, match.start() - 40), match.end() + 40) is not None:
            yield match.start()
