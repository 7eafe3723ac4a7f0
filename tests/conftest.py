# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test session needs: the collection importable by its own name, and the shared fixtures."""

from __future__ import annotations

import gc
import os
import sys
import time
import typing as t

import hypothesis
import hypothesis.configuration
import pytest

from tests.fleet.fixtures import _fleet, docker_engine, fleet
from tests.support import compiled_once, controllers, paths, require

# How long one example takes says nothing on a machine that is shared; what it shows does.
hypothesis.settings.register_profile("shared_machine", deadline=None)
hypothesis.settings.load_profile("shared_machine")
hypothesis.configuration.set_hypothesis_home_dir(paths.BUILD / "hypothesis")

# Groups of tests that one worker runs for so long that it has to begin with them.
_CHAINS = ("audit", "memory", "hostile_events")
# Test modules that draw the events of tests.support.hostile_events import one of these.
_HOSTILE = frozenset({"hostile_events", "hostile"})
_BEGIN = time.monotonic()
_PRIORITY = os.getpriority(os.PRIO_PROCESS, 0)

__all__ = ["_fleet", "docker_engine", "fleet"]

paths.link_collection()
sys.path.insert(0, str(paths.COLLECTIONS))
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(paths.COLLECTIONS)
os.environ[compiled_once.VARIABLE] = str(paths.BUILD / "cache" / "compiled")


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


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print what failed, and when, at once: a run that is stopped before its end prints no summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        minutes, seconds = divmod(int(time.monotonic() - _BEGIN), 60)
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message.partition("\n")[0] if crash else ""
        sys.stdout.write(f"\n[{minutes}:{seconds:02}] {report.nodeid}: {report.when} failed: {message[:300]}\n")
        sys.stdout.flush()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        require(*marker.args)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Take back the priority that a look gives up for its process, which was the one that runs all tests.

    The rest of them, and all that they start, would wait for those of the other workers. Only root can take it back.
    """
    if os.geteuid() == 0 and os.getpriority(os.PRIO_PROCESS, 0) != _PRIORITY:
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)


@pytest.fixture(scope="session")
def controller() -> t.Callable[[str], controllers.Controller]:
    """Return a controller by its series of ansible-core: ``controller("2.18").run_playbook(...)``."""
    return controllers.controller
