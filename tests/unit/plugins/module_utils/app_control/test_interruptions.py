# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon that was stopped is seen at the next look, also if it runs again."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import interruptions
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.interruptions import (
    Interruption,
    Interruptions,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner

NOW = 1_795_000_000
LATER = NOW + 1_000.0


def service(kind: str, at: float, unit: str = "fapolicyd", pid: int = 1, serial: int | None = None) -> str:
    """Return the record that systemd makes; the kernel writes everything before msg=."""
    return (
        f"type=SERVICE_{kind} msg=audit({at:.3f}:{serial or int(at - NOW) + 1_000}): pid={pid} uid=0 auid=4294967295"
        f' ses=4294967295 msg=\'unit={unit} comm="systemd" exe="/usr/lib/systemd/systemd" hostname=? addr=?'
        ' terminal=? res=success\'\x1dUID="root" AUID="unset"\n'
    )


def read(*records: str, state: t.Any = None) -> Interruptions:
    observed = Interruptions(state)
    for event in Joiner().events("".join(records).encode()):
        observed.note(event)
    return observed


def test_stop_and_start_are_an_interruption() -> None:
    observed = read(service("STOP", NOW), service("STOP", NOW + 1, "cron"), service("START", NOW + 60.5))
    assert observed.all() == [Interruption(NOW, NOW + 60.5)]
    assert observed.state() is None


def test_a_stop_is_remembered_until_the_start() -> None:
    first = read(service("STOP", NOW))
    assert first.all() == [Interruption(NOW, None)]
    assert read(service("START", NOW + 5), state=first.state()).all() == [Interruption(NOW, NOW + 5)]


def test_other_processes_and_units_say_nothing() -> None:
    records = [service("STOP", NOW, pid=4711), service("STOP", NOW + 1, "fapolicyd-mine"), service("START", NOW + 2)]
    assert read(*records).all() == []
    # Nor does somebody's start end an interruption.
    assert read(service("STOP", NOW), service("START", NOW + 1, pid=4711)).all() == [Interruption(NOW, None)]


def test_a_host_that_boots_stops_everything() -> None:
    observed = read(service("STOP", NOW), service("START", NOW + 35, serial=7))
    assert observed.all() == []
    assert observed.state() is None


@pytest.mark.parametrize(
    ("observed", "severity", "message"),
    [
        ([Interruption(NOW, NOW + 60)], "high", "stopped once since the last scan, for 60 seconds."),
        ([Interruption(NOW, NOW + 2)], "medium", "stopped once since the last scan, for 2 seconds."),
        (
            [Interruption(NOW, NOW + 2), Interruption(NOW + 9, None)],
            "high",
            "stopped 2 times since the last scan, and does not run since.",
        ),
        (
            [Interruption(LATER - 60, LATER - 58)],
            "informational",
            "It was when a policy was deployed, or a maintenance window began or ended.",
        ),
        # Whoever waits for a deployment is not covered by it, nor is whoever takes time.
        ([Interruption(LATER - 60, LATER - 30)], "high", "once since the last scan, for 30 seconds."),
        ([Interruption(LATER - 60, LATER - 58), Interruption(NOW, NOW + 60)], "high", "once since the last scan"),
    ],
)
def test_severity_is_that_of_the_longest(observed: list[Interruption], severity: str, message: str) -> None:
    (detection,) = interruptions.detections(observed, (5.0, LATER), "enforcement")
    assert (detection["alert"], detection["severity"]) == ("app_enforcement_interrupted", severity)
    assert message in detection["message"]


def test_another_process_without_a_record() -> None:
    assert not interruptions.is_another((), ("boot", [100]))
    assert not interruptions.is_another(("boot", [100]), ("boot", [100]))
    assert not interruptions.is_another(("boot", [100]), ("other boot", [200]))
    assert not interruptions.is_another(("boot", [100]), ("boot", []))
    assert interruptions.is_another(("boot", [100]), ("boot", [200]))
    assert interruptions.unseen(NOW, (5.0, LATER), "enforcement")["severity"] is None
    assert interruptions.unseen(LATER - 60, (5.0, LATER), "enforcement")["severity"] == "informational"
