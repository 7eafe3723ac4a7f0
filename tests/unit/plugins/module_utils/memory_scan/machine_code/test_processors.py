# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which processor the code of a process is."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import processors
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code.shellcode import (
    ARM64,
    I386,
    X86_64,
)

_LOW, _HIGH = 0xFFFFE000, 0x7FFFFFFFF000
_RISC_V = 243


@pytest.mark.parametrize(
    ("host", "declared", "highest", "expected"),
    [
        ("x86_64", X86_64, _HIGH, X86_64),
        ("x86_64", I386, _LOW, I386),
        # The x32 ABI, and a process that has no file.
        ("x86_64", X86_64, _LOW, X86_64),
        ("x86_64", 0, _HIGH, X86_64),
        ("x86_64", 0, _LOW, X86_64),
        # What a file says that this host can't run, or that doesn't fit the addresses.
        ("x86_64", _RISC_V, _HIGH, X86_64),
        ("x86_64", I386, _HIGH, X86_64),
        ("i686", 0, _LOW, I386),
        ("i686", I386, _HIGH, X86_64),
        ("aarch64", 0, _HIGH, ARM64),
        ("aarch64", X86_64, _LOW, ARM64),
        ("aarch64", processors.ARM, _LOW, processors.ARM),
        ("riscv64", _RISC_V, _HIGH, _RISC_V),
        ("riscv64", 0, _HIGH, 0),
    ],
)
def test_code_is_what_the_host_runs(host: str, declared: int, highest: int, expected: int) -> None:
    assert processors.of_code(host, declared, highest) == expected
