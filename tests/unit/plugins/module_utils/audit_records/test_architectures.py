# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls by their numbers: those of the x32 ABI, which any program on x86-64 may use where the kernel has it."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import architectures

_X86_64 = b"c000003e"


@pytest.mark.parametrize(
    ("number", "name"),
    [(59, None), (313, "finit_module"), (520, "execve"), (521, "ptrace"), (545, "execveat"), (547, "pwritev2")],
)
def test_calls_of_x32_have_names(number: int, name: str | None) -> None:
    found = architectures.call_name(_X86_64, b"%d" % (0x40000000 | number))
    assert found == (name or "execve")
    assert architectures.unknown(_X86_64, b"%d" % (0x40000000 | number)) is None
