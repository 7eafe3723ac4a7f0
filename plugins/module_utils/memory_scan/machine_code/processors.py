# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which processor the code of a process is: what its host runs, whatever a file in its memory says."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.shellcode import (
    ARM64,
    I386,
    X86_64,
)

ARM = 40


class _Kernel(t.NamedTuple):
    """What a kernel runs (e_machine of elf(5)). machine: of uname(2). usual: where nothing tells."""

    machine: t.Pattern[str]
    wide: int
    narrow: int
    usual: int


# Under linux32 of setarch(8) the kernel says that it is of 32 bits.
_KERNELS = (
    _Kernel(re.compile(r"x86_64|amd64"), X86_64, I386, X86_64),
    _Kernel(re.compile(r"i[3-6]86"), X86_64, I386, I386),
    _Kernel(re.compile(r"aarch64|arm64"), ARM64, ARM, ARM64),
)


def of_code(host: str, declared: int, highest: int) -> int:
    """Return e_machine of a process's code; 0 where neither its host nor its program tells.

    host: the machine of uname(2). declared: e_machine of a file that it has mapped as code, 0 for none: a process can
    have any file there, so that it only chooses among what the host runs. highest: its last address; no process of 32
    bits has one above 4 GB.
    """
    for kernel in _KERNELS:
        if kernel.machine.fullmatch(host):
            if highest > 1 << 32:
                return kernel.wide
            return declared if declared in (kernel.wide, kernel.narrow) else kernel.usual
    return declared
