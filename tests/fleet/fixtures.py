# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as pytest sees it: images, engine and network once for the session, fresh hosts for every test."""

from __future__ import annotations

import typing as t

import pytest

from tests.fleet import engine
from tests.fleet.fleet import Fleet
from tests.support import require


@pytest.fixture(scope="session")
def docker_engine() -> t.Iterator[engine.Engine]:
    """A running Docker Engine; one of ours is stopped when the last worker is done with it."""
    require("docker")
    with engine.use() as used:
        yield used


@pytest.fixture(scope="session")
def _fleet(docker_engine: engine.Engine, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Fleet]:
    require("fleet")
    fleet = Fleet(docker_engine, tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.remove()


@pytest.fixture
def fleet(_fleet: Fleet) -> t.Iterator[Fleet]:
    """A fleet without hosts: ``fleet.start("trixie", "bookworm")`` makes fresh ones, which go when the test ends."""
    _fleet.stop()
    yield _fleet
    _fleet.stop()
