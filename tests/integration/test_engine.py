# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests' own Docker Engine is there for whoever still uses it."""

from __future__ import annotations

import pytest

from tests.fleet import engine

pytestmark = pytest.mark.requires("docker")


def test_the_first_who_is_done_stops_no_engine_that_others_use(docker_engine: engine.Engine) -> None:
    with engine.use() as other:
        assert other.address == docker_engine.address
    assert docker_engine.answers()
    if docker_engine.address is not None:
        assert not engine.stop_if_idle()
    assert docker_engine.answers()
