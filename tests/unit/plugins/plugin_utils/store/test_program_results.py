# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of a host about programs is bounded and safe to show, or refused with a sentence."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import StoreError, program_results
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_results import (
    HostFacts,
    read_ended,
    read_host,
    read_sightings,
)

from tests.unit.plugins.plugin_utils.store.programs import DAY, described, program, sighting

NOW = DAY * 7 / 4


def refusal(read: t.Callable[[t.Any, str, float], object], reported: t.Any) -> str:
    with pytest.raises(StoreError) as error:
        read(reported, "web1", NOW)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "poem"}, "/x: one of program, script, library is needed"),
        ({"path": ""}, "a text of 1 to 20000 characters is needed"),
        ({"sha256": "zz"}, "/x: a SHA-256 digest in hexadecimal, or none, is needed"),
        ({"verification": "yes"}, "/x: one of verified,"),
        ({"content": None}, "/x: one of present,"),
        ({"writers": "root"}, "/x: a list is needed"),
        ({"owner": 0}, "/x: a text is needed"),
        ({"first": float("nan")}, "a time in seconds since the epoch is needed"),
        ({"last": -1}, "a time in seconds since the epoch is needed"),
        ({"executions": -1}, "a number of 0 or more is needed"),
        ({"executions": 2**60}, "a whole number of 54 bits is needed"),
        ({"days": True}, "a whole number of 32 bits is needed"),
        ({"users": [1]}, "a text is needed"),
    ],
)
def test_what_is_no_sighting_is_refused(changes: t.Any, reason: str) -> None:
    said = refusal(read_sightings, [sighting(), {**sighting("/x"), **changes}])
    assert said.startswith(f"the programs of web1 cannot be stored: {reason}")


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ("x", "a list is needed"),
        ([1], "a mapping is needed"),
        ([sighting(), sighting()], "one is in the result twice"),
    ],
)
def test_what_is_no_list_of_sightings_is_refused(reported: t.Any, reason: str) -> None:
    assert refusal(read_sightings, reported) == f"the programs of web1 cannot be stored: {reason}"


def test_more_than_is_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_results, "SIGHTINGS_LIMIT", 2)
    sightings = [sighting(f"/usr/bin/{number}") for number in range(3)]
    assert refusal(read_sightings, sightings) == "the programs of web1 cannot be stored: 3 are more than 2"
    monkeypatch.setattr(program_results, "PROGRAMS_BYTES", 10)
    assert "characters are more than 10" in refusal(read_sightings, sightings[:1])


def test_a_text_is_made_safe_to_show_and_lists_are_bounded() -> None:
    names = tuple(f"user{number}" for number in range(500))
    reported = sighting(program("/tmp/\x1b[2J\0", writers=names), users=names)
    (found,) = read_sightings([reported], "web1", NOW)
    assert found.program.path == r"/tmp/\x1b[2J\x00"
    assert (found.users, found.program.writers) == (names[:8], names[:100])


def test_a_clock_that_is_ahead_says_now() -> None:
    (found,) = read_sightings([sighting(day=1000, days=900, explained=7)], "web1", NOW)
    assert (found.first, found.last, found.last_day, found.days, found.explained) == (NOW, NOW, 1, 2, 1)
    assert read_host(described(until=1e12, days=10_000), "web1", NOW) == HostFacts("debian 12", DAY, NOW, 1, (), ())


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"distribution": 1}, "a text is needed"),
        ({"since": None}, "a time in seconds"),
        ({"days": -1}, "a number of 0"),
        ({"roles": None}, "a list is needed"),
    ],
)
def test_a_host_that_is_described_wrongly_is_refused(facts: t.Any, reason: str) -> None:
    said = refusal(read_host, described(**facts))
    assert said.startswith(f"the summary of the programs of web1 cannot be stored: {reason}")


@pytest.mark.parametrize("ended", [[1], [{"alert": "", "subject": "x", "reason": "y"}], "x", [{"alert": "x"}]])
def test_what_ends_nothing_is_refused(ended: t.Any) -> None:
    said = refusal(lambda reported, host, _now: read_ended(reported, host), ended)
    assert said.startswith("the end of findings of web1 cannot be recorded: ")
