# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to open ports in real playbooks, with every supported ansible-core and without any host."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.integration.store.test_findings import Play, task
from tests.support.controllers import Controller, controller
from tests.unit.plugins.plugin_utils.store.samples import WANTED

POLICY = [{"port": 22, "max_duration": 7200, "sources": ["192.0.2.0/24"]}]
ASK: dict[str, t.Any] = {
    "state": "requested",
    "ports": ["22"],
    "sources": ["192.0.2.7"],
    "duration": "1h",
    "justification": "CHG-1",
    "actor": "alice",
    "policy": POLICY,
}


# What hangs on how an ansible-core templates, chooses hosts or calls plugins is tried with the oldest, too.
_BOTH = pytest.mark.parametrize("ansible", ["2.18", "2.21"], indirect=True)
# Steps are logic of the store; the other tests of them take the newest.
_OLDEST = pytest.mark.parametrize("ansible", ["2.18"], indirect=True)


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


@pytest.fixture
def play(ansible: Controller, tmp_path: pathlib.Path) -> Play:
    return Play(ansible, tmp_path)


def ask(register: str | None = None, once: bool = True, **changes: t.Any) -> dict[str, t.Any]:
    return task("jit_request", register, once=once, **{**ASK, **changes})


def move(state: str, **options: t.Any) -> dict[str, t.Any]:
    return task("jit_request", once=True, state=state, id="{{ asked.request.id }}", **options)


@_OLDEST
def test_each_step_is_made_by_somebody_and_known(play: Play) -> None:
    own, said, foreign, approved, again, opened, told, twice, closed, asked_for = play.each(
        move("approved", actor="alice"),
        move("approved", actor="bob"),
        move("approved", actor="bob", approvers=["bob", "carol"], self_approval=True),
        move("approved", actor="bob", reason="known", approvers="root,carol", self_approval=True),
        move("approved", actor="bob", self_approval=True),
        move("opening", actor="alice"),
        move("open", actor="alice", grant="g1", seconds=3599),
        move("opening", actor="alice"),
        move("closed", actor="alice", reason="done"),
        task("jit_requests_info", once=True, gather=["requests", "history"], requesters=["al*"]),
        before=[ask("asked")],
    )
    assert (
        "'s own, so somebody else has to approve it; set 'self_approval' (jit_self_approval of the playbook) where"
        in own["msg"]
    )
    assert "is of the account root, from which bob would approve it, so somebody else has to approve it" in said["msg"]
    assert foreign["msg"].endswith(
        "account root (bob) is not one of the approvers, who are bob, carol; let one of them decide"
    )
    assert (approved["changed"], approved["before"], approved["request"]["state"]) == (True, "requested", "approved")
    assert again["changed"] is False
    assert opened["request"]["until"] - opened["request"]["opened_at"] == 3600
    assert (told["changed"], told["request"]["grant"]) == (True, "g1")
    assert "is open, so it cannot become opening: make another request" in twice["msg"]
    assert closed["request"]["state"] == "closed"
    (request,) = asked_for["requests"]
    assert (request["host"], request["ports"], request["sources"]) == ("web1", ["22"], ["192.0.2.7"])
    assert (request["decided_by"], request["end_reason"], request["state"]) == ("bob", "done", "closed")
    assert [entry["state"] for entry in asked_for["history"]] == ["closed", "open", "opening", "approved", "requested"]
    assert asked_for["counts"]["closed"] == 1


def test_what_is_wrong_or_not_allowed_is_refused_and_not_stored(play: Play) -> None:
    mistakes: list[tuple[dict[str, t.Any], str]] = [
        (
            {"ports": ["23"]},
            "the policy of web1 does not allow that: ports: the policy does not lock TCP port 23",
        ),
        ({"sources": ["198.51.100.1"]}, "does not allow that: sources: 198.51.100.1 may not request port 22"),
        ({"duration": "3h"}, "does not allow that: duration is 10800 seconds, and the policy allows at most 7200"),
        ({"duration": "9w"}, "'duration' is '9w': write 300 to 86400 seconds"),
        ({"justification": ""}, "'justification' is empty; say why in a sentence"),
        ({"policy": [{"port": "ssh"}]}, "'policy' cannot be used: ports, item 1: 'ssh' is not a port"),
    ]
    *answers, denied, lost, asked_for = play.each(
        *(ask(**changes) for changes, _message in mistakes),
        task("jit_request", once=True, state="denied", id="lost", actor="bob"),
        task("jit_request", once=True, state="approved", id="lost", actor="bob"),
        task("jit_requests_info", once=True),
    )
    for answer, (_changes, message) in zip(answers, mistakes, strict=True):
        assert message in answer["msg"]
    assert "'reason' is empty; say why in a sentence" in denied["msg"]
    assert "there is no request 'lost' in the store; jit_requests_info lists those there are" in lost["msg"]
    assert asked_for["requests"] == []


@_BOTH
def test_each_host_is_asked_for_by_itself_and_check_mode_keeps_nothing(play: Play, tmp_path: pathlib.Path) -> None:
    play.run(ask(once=False), arguments=["--check", "--diff"])
    assert "requested" in play.output
    assert "web1 (new): requested" in play.output
    assert not (tmp_path / "bulwark").exists()
    answer = play.run(ask(once=False), task("jit_requests_info", "answer", once=True, states=["requested"]))
    assert sorted(request["host"] for request in answer["requests"]) == ["web1", "web2"]


@_BOTH
def test_what_people_write_is_only_ever_text(play: Play, tmp_path: pathlib.Path) -> None:
    proof = tmp_path / "proof"
    why = "=cmd;{{ lookup('pipe', 'touch " + str(proof) + "') }}\x1b[2J"
    (tmp_path / "why").write_text(why)
    read = {"ansible.builtin.set_fact": {"why": "{{ lookup('file', path) }}"}}
    write = {
        "ansible.builtin.set_fact": {
            "answer": {
                "csv": "{{ found.requests | bulwark.servers.jit_requests_csv }}",
                "why": "{{ found.requests[0].justification }}",
            }
        },
        "run_once": True,
    }
    show = {"ansible.builtin.debug": {"msg": "{{ answer.csv }} {{ found.history }}"}, "run_once": True}
    answer = play.run(
        read,
        ask(justification="{{ why }}"),
        task("jit_requests_info", "found", once=True, gather=["requests", "history"]),
        write,
        show,
        path=str(tmp_path / "why"),
    )
    assert answer["why"] == why.replace("\x1b", "\\x1b")
    names, row = csv.reader(io.StringIO(answer["csv"], newline=""))
    assert row[names.index("justification")] == "'" + why.replace("\x1b", "\\x1b")
    assert not proof.exists()
    assert "\x1b[2J" not in play.output


def test_an_end_that_somebody_asks_about_is_written(play: Play, tmp_path: pathlib.Path) -> None:
    """Who only asks opens the store for reading; a clock that goes back later must find the end there."""
    url = f"sqlite:///{tmp_path}/bulwark/findings.db"
    asked = time.time() - 10
    wanted = dataclasses.replace(WANTED, valid_for=1)
    with contextlib.closing(Store.open(url)) as store:
        store.jit_request(wanted, now=asked)
    play.run(task("jit_requests_info", once=True), arguments=["--check"])
    with contextlib.closing(Store.open(url, mode="read")) as store:
        assert [found.state for found in store.jit_requests(now=asked)] == ["requested"]
    answer = play.run(task("jit_requests_info", "answer", once=True, gather=["history"]))
    assert [entry["state"] for entry in answer["history"]] == ["expired", "requested"]
    with contextlib.closing(Store.open(url, mode="read")) as store:
        assert [found.state for found in store.jit_requests(now=asked)] == ["expired"]
