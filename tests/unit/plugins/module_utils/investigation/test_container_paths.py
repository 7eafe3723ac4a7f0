# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine does to make a container is nobody's act, and no program hides behind the engine's name."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.container_paths import ContainerPaths
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    WROTE,
    Act,
    Program,
    Table,
)


@dataclasses.dataclass
class _Live:
    container: str = "c"


@pytest.mark.parametrize(
    ("programs", "acts"),
    [
        ([(0.0, b"/usr/bin/runc"), (1.0, b"/bin/sh")], [b"/second"]),
        # One that is only called so.
        ([(0.0, b"/tmp/runc")], [b"/first", b"/second"]),
        ([(0.0, b"/tmp/exe"), (60.0, b"/bin/sh")], [b"/first", b"/second"]),
        ([(0.0, b"/bin/sh")], [b"/first", b"/second"]),
    ],
)
def test_only_an_engine_that_makes_a_container_does_nothing_itself(
    programs: list[tuple[float, bytes]], acts: list[bytes]
) -> None:
    process = Table({}, 0.0).seen(0.0, 50, 1, None, None, 0)
    process.live = t.cast("t.Any", _Live())
    process.programs = [Program(time, exe, b"", b"") for time, exe in programs]
    process.acts = [Act(0.5, WROTE, b"/first", "openat"), Act(2.0, WROTE, b"/second", "openat")]
    assert [act.path for act in ContainerPaths({}).own_acts(process)] == acts
