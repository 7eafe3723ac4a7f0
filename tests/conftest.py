# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test session needs: the collection importable by its own name, and the shared fixtures."""

from __future__ import annotations

import gc
import os
import sys
import typing as t

import hypothesis
import hypothesis.configuration
import pytest

from tests.fleet.fixtures import _fleet, docker_engine, fleet
from tests.support import controllers, paths, require

# How long one example takes says nothing on a machine that is shared; what it shows does.
hypothesis.settings.register_profile("shared_machine", deadline=None)
hypothesis.settings.load_profile("shared_machine")
hypothesis.configuration.set_hypothesis_home_dir(paths.BUILD / "hypothesis")

# Groups of tests that one worker runs for so long that it has to begin with them.
_CHAINS = ("audit", "memory", "hostile_events")
# Test modules that draw the events of tests.support.hostile_events import one of these.
_HOSTILE = frozenset({"hostile_events", "hostile"})

__all__ = ["_fleet", "docker_engine", "fleet"]

paths.link_collection()
sys.path.insert(0, str(paths.COLLECTIONS))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(paths.COLLECTIONS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires(need, ...): skip, or fail in CI, unless tests.support.require is met")
    config.addinivalue_line("markers", "long: takes a minute or more, and is started early so that it doesn't end last")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> t.Iterator[object]:
    """Let Python's collector of garbage pass over what lives as long as the session.

    The collected tests are a million objects. It would go through them again and again while they are collected, and
    while tests run. What tests make is collected as ever.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what must run one after the other, then with the other long tests, and fill up with short ones."""
    for item in items:
        # Drawing the events takes a worker 20 s, so that a single one draws them.
        if "/export" in item.nodeid and vars(getattr(item, "module", None) or object).keys() & _HOSTILE:
            item.add_marker(pytest.mark.xdist_group("hostile_events"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is not None and group.args[0] in _CHAINS:
        return 0
    if item.get_closest_marker("long") or "docker_engine" in getattr(item, "fixturenames", ()):
        return 1
    # Short tests at the end of a run leave no processor idle.
    return 3 if item.nodeid.startswith(("tests/unit/", "tests/content/")) else 2


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        require(*marker.args)


@pytest.fixture(scope="session")
def controller() -> t.Callable[[str], controllers.Controller]:
    """Return a controller by its series of ansible-core: ``controller("2.18").run_playbook(...)``."""
    return controllers.controller
