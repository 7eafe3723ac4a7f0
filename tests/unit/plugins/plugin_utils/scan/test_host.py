# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host during a scan: what it answered, what it keeps, and what went wrong on the way."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Entry, Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import host as scan_host
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.host import Host
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.model import Answers, Look, Options, Tampered

_ENTRY = Entry("doors.collect:collect", lambda: {"days": {"type": "int"}})
_GOOD: dict[str, t.Any] = {"coverage": []}


def _request(**arguments: t.Any) -> Request:
    return Request("door_info", arguments, False, _ENTRY)


class Transport:
    """Answers with what it is given, one after the other; asked has the looks of each question."""

    def __init__(self, *answers: Answers) -> None:
        self._answers = list(answers)
        self.asked: list[list[str]] = []
        self.pins: list[t.Mapping[str, str]] = []

    def ask(self, _run: t.Any, looks: t.Sequence[Look], _options: Options, known: t.Mapping[str, str]) -> Answers:
        self.asked.append([look.id for look in looks])
        self.pins.append(known)
        return self._answers.pop(0)


def _answers(looks: dict[str, dict[str, t.Any]], **fields: t.Any) -> Answers:
    rest: dict[str, t.Any] = {"platform": {}, "pins": {}, "notes": [], "tampered": [], "problem": None}
    return Answers(looks, **{**rest, **fields})


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., tuple[Host, Transport]]:
    def make(*answers: Answers) -> tuple[Host, Transport]:
        transport = Transport(*answers)
        monkeypatch.setattr(scan_host, "ask", transport.ask)
        return Host(lambda _arguments: {}, Options(), {"code": "before"}, False), transport

    return make


Made = t.Callable[..., tuple[Host, Transport]]


def test_what_the_host_says_of_itself_is_remembered(made: Made) -> None:
    tampered = Tampered("/x", "was changed")
    host, transport = made(
        _answers({"a": _GOOD}, platform={"ansible_system": "Linux"}, pins={"code": "now"}, notes=["slow"]),
        _answers({"b": _GOOD}, pins={"code": "later"}, tampered=[tampered]),
    )
    assert (host.reached, host.facts) == (False, None)
    assert host.ask({"a": _request()}) == {"a": _GOOD}
    assert host.facts == {"ansible_system": "Linux"}
    host.ask({"b": _request()})
    assert transport.pins == [{"code": "before"}, {"code": "now"}]
    assert host.answers == {"a": _GOOD, "b": _GOOD}
    assert (host.reached, host.pins, host.notes, host.tampered) == (True, {"code": "later"}, ["slow"], [tampered])
    assert host.facts == {"ansible_system": "Linux"}


def test_wrong_arguments_are_refused_without_asking_for_them(made: Made) -> None:
    host, transport = made(_answers({"good": _GOOD}))
    answers = host.ask({"wrong": _request(days="many"), "good": _request(days=1)})
    assert transport.asked == [["good"]]
    assert answers["good"] == _GOOD
    assert (answers["wrong"]["failed"], answers["wrong"]["usage_error"]) == (True, True)
    assert "days" in answers["wrong"]["msg"]


def test_nothing_is_sent_where_all_is_refused(made: Made) -> None:
    host, transport = made()
    host.ask({"wrong": _request(days="many")})
    assert transport.asked == []
    assert not host.reached


def test_a_host_that_cannot_be_reached_ends_what_it_did_not_answer(made: Made) -> None:
    problem = {"unreachable": True, "msg": "timed out"}
    lost = {"failed": True, "msg": "timed out"}
    host, _transport = made(_answers({"done": _GOOD, "lost": lost}, problem=problem))
    answers = host.ask({"done": _request(), "lost": _request()})
    assert answers == {"done": _GOOD, "lost": {**lost, "unreachable": True}}
    assert (host.reached, host.problem) == (False, problem)


def test_a_host_that_was_reached_once_stays_so(made: Made) -> None:
    host, _transport = made(_answers({"a": _GOOD}), _answers({"b": {"failed": True}}, problem={"failed": True}))
    host.ask({"a": _request()})
    assert host.ask({"b": _request()}) == {"b": {"failed": True}}
    assert host.reached
    assert host.problem == {"failed": True}


def test_a_module_without_an_entry_cannot_be_asked_by_a_scan(made: Made) -> None:
    host, _transport = made()
    with pytest.raises(TypeError, match="door_info has no ENTRY"):
        host.ask({"a": Request("door_info", {}, False)})
