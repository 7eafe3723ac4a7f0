# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What administrators, developers and servers do all day, and how many alerts it may raise."""

from __future__ import annotations

import functools
import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader

from tests.content.audit import harness
from tests.support import life

FOLDER = pathlib.Path(__file__).parent / "life"
PROGRAMS = [*life.load(FOLDER / "programs.txt"), *life.load(FOLDER / "services.txt")]
# How many alerts above informational an hour may raise. The developer drops a database. The database server's backup
# removes the snapshot of a volume, and somebody on the web server reads a file of passwords.
HOURS = {
    "hour_of_a_developer": 2,
    "hour_of_a_database_server": 1,
    "hour_of_a_web_server": 1,
    "hour_of_a_kubernetes_node": 0,
    "hour_of_a_mail_server": 0,
    "hour_of_an_application_server": 0,
}


def raised(logs: t.Iterable[bytes]) -> list[dict[str, t.Any]]:
    """Return what logs raise above informational."""
    reader = Reader(harness.rules().payload, {})
    for log in logs:
        reader.read(log)
    reader.finish(4e9)
    found, left = reader.tally.detections(1000)
    assert not left
    return [detection for detection in found if detection["severity"] != "informational"]


@functools.lru_cache(maxsize=2)
def raised_by_programs(busybox: bool = False) -> dict[int, set[str]]:
    """Return the alerts of each sequence, which a reader reads as those of as many hosts: that takes three seconds."""
    logs = [
        b"".join(
            b"node=host%d %s" % (number, line)
            for line in life.play([sequence], busybox=busybox).splitlines(keepends=True)
        )
        for number, sequence in enumerate(PROGRAMS)
    ]
    alerts: dict[int, set[str]] = {}
    # A reader knows a hundred hosts.
    for start in range(0, len(logs), 80):
        for detection in raised(logs[start : start + 80]):
            node = re.search(r"\(node host(\d+)\)$", detection["subject"])
            assert node, detection["subject"]
            alerts.setdefault(int(node.group(1)), set()).add(detection["alert"])
    return alerts


def test_most_sequences_raise_nothing() -> None:
    assert len(PROGRAMS) >= 125
    quiet = [sequence for sequence in PROGRAMS if not sequence.alerts]
    assert len(quiet) >= 85


@pytest.mark.parametrize("number", range(len(PROGRAMS)), ids=[sequence.title for sequence in PROGRAMS])
def test_a_sequence_raises_what_it_says_and_no_more(number: int) -> None:
    assert raised_by_programs().get(number, set()) == PROGRAMS[number].alerts


def test_busybox_raises_what_the_programs_raise_that_it_is() -> None:
    """On Alpine nearly every command is BusyBox: that it runs is no sign of anything that it can be."""
    own, as_busybox = raised_by_programs(), raised_by_programs(busybox=True)
    for number, sequence in enumerate(PROGRAMS):
        assert as_busybox.get(number, set()) == own.get(number, set()), sequence.title


@pytest.mark.parametrize("hour", HOURS)
def test_an_ordinary_hour_raises_few_alerts(hour: str) -> None:
    found = raised([life.play(life.load(FOLDER / f"{hour}.txt"))])
    assert len(found) <= HOURS[hour], [(detection["alert"], detection["subject"]) for detection in found]


def test_the_scripts_of_all_packages_of_an_upgrade_are_one_finding() -> None:
    (upgrade,) = [sequence for sequence in PROGRAMS if sequence.title == "dnf upgrade"]
    alerts = [detection["alert"] for detection in raised([life.play([upgrade])])]
    assert sorted(alerts) == sorted(upgrade.alerts)


def test_an_hour_is_not_quiet_because_nothing_is_seen() -> None:
    """Below a server of such an hour, and in such a session, what intruders do is raised."""
    server = life.Sequence(
        "app", "/usr/bin/node listens", "", frozenset(), ('/usr/bin/dash:: sh -c "id; cat /etc/passwd"',)
    )
    session = life.Sequence("alice", "session", "", frozenset(), ("cp /bin/sh /tmp/crond", "/tmp/crond:: crond -p"))
    assert [detection["alert"] for detection in raised([life.play([server])])] == ["web_shell"]
    assert {detection["alert"] for detection in raised([life.play([session])])} >= {
        "execution_masquerading",
        "execution_from_temporary_directory",
    }
