# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import threading
import typing as t

import pytest

from tests.integration.export._team import Collector, Team
from tests.support.controllers import Controller, controller


@pytest.fixture
def collector() -> t.Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


@pytest.fixture
def team(ansible: Controller, tmp_path: pathlib.Path) -> Team:
    return Team(ansible, tmp_path)
