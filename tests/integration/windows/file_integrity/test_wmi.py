# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A baseline of event subscriptions of WMI, from recorded replies: kept, compared and accepted by a Windows process."""

from __future__ import annotations

import functools
import pathlib
import typing as t

import pytest

from tests.integration.windows.file_integrity._modules import APPLY, LOOK, Result, World, alerts, changes
from tests.support.windows import compiler, toolchain
from tests.unit.windows import driver as drivers
from tests.unit.windows import test_wmi as recorded
from tests.unit.windows.driver import call

pytestmark = pytest.mark.requires(*toolchain.WINE)

_HERE = pathlib.Path(__file__).parent
_UNIT = pathlib.Path(drivers.__file__).parent
_SUBSCRIPTION = "WMI\\root\\subscription\\"
_CONSUMER = f'{_SUBSCRIPTION}CommandLineEventConsumer.Name="Updater"'


@functools.cache
def driver() -> drivers.Driver:
    files = ("Apply", "Changes", "Classifier", "Definitions", "Look", "RegistryCollector", "RegistryJudge", "Review")
    sources = [_HERE / "AnsibleBasic.cs", _HERE / "WmiCalls.cs"]
    sources += [_UNIT / name for name in ("RegistryScript.cs", "RecordedFacts.cs", "WmiScript.cs")]
    names = (f"file_integrity.{name}" for name in files)
    return drivers.Driver(*names, sources=sources, target=compiler.Target.WINDOWS)


@pytest.fixture
def world(tmp_path: pathlib.Path) -> t.Iterator[World]:
    made = World(tmp_path)
    made.watches = [{"name": "wmi", "wmi": ["root", "root\\*"]}]
    yield made
    made.remove()


def run(*calls: tuple[str, Result, recorded.Wmi]) -> list[Result]:
    """Return the results of modules that run one after the other in one process."""
    return driver().results(*(call("WmiCalls.Call", *arguments) for arguments in calls))


def test_a_subscription_is_reported_accepted_and_then_silent(world: World) -> None:
    clean, evil, worse = recorded.host(), recorded.attack(), recorded.attack("powershell -enc " + "QUJD" * 20)
    params = world.params()
    accept = world.params(accept=["all"], reason="CHG-1", accepted_by="alice")
    by_path = world.params(accept=[_CONSUMER], reason="CHG-2", accepted_by="alice")
    first, silent, attacked, accepted, quiet, changed, accepted_path, calm, stopped = run(
        (APPLY, params, clean),
        (LOOK, params, clean),
        (LOOK, params, evil),
        (APPLY, accept, evil),
        (LOOK, params, evil),
        (LOOK, params, worse),
        (APPLY, by_path, worse),
        (LOOK, params, worse),
        (LOOK, params, {"state": 1}),
    )
    assert first["baseline"]["entries"] == 3
    assert first["coverage"][0]["status"] == "checked"
    assert silent["changes"] == silent["detections"] == []
    assert {kind for kind, _path in changes(attacked)} == {"created"}
    assert len(attacked["detections"]) == 3
    assert alerts(attacked) == {"persistence_wmi"}
    assert accepted["accepted_count"] == 3
    assert quiet["changes"] == []
    assert changes(changed) == {("modified", _CONSUMER): ["content", "size"]}
    assert [detection["severity"] for detection in changed["detections"]] == ["high"]
    assert accepted_path["accepted_count"] == 1
    assert calm["changes"] == []
    assert stopped["changes"] == []
    assert stopped["coverage"][0]["status"] == "not_checked"
    assert "Winmgmt is not running" in stopped["coverage"][0]["reason"]


def test_a_subscription_from_before_the_baseline_is_reported_until_it_is_accepted(world: World) -> None:
    evil = recorded.attack("powershell -enc " + "QUJD" * 20)
    params = world.params()
    accept = world.params(accept=["all"], reason="CHG-1", accepted_by="alice")
    first, again, accepted, silent = run(
        (APPLY, params, evil), (LOOK, params, evil), (APPLY, accept, evil), (LOOK, params, evil)
    )
    for result in (first, again):
        ((severity, message),) = [(item["severity"], item["message"]) for item in result["detections"]]
        assert severity == "high"
        assert message.startswith(f"{_CONSUMER} runs 'powershell -enc QUJD")
    assert accepted["accepted_count"] == 1
    assert silent["detections"] == []


def test_of_two_watches_the_one_with_the_more_specific_namespace_has_a_subscription(world: World) -> None:
    world.watches = [{"name": "other", "wmi": ["ROOT\\Subscription"]}, *world.watches]
    params = world.params()
    first, attacked = run((APPLY, params, recorded.host()), (LOOK, params, recorded.attack()))
    assert first["baseline"]["entries"] == 3
    assert {change["watch"] for change in attacked["changes"]} == {"other"}


def test_the_module_itself_asks_this_machine(world: World) -> None:
    made = world.apply()
    assert made["baseline"]["entries"] == 0
    assert "WMI could not be asked" in made["coverage"][0]["reason"]
