# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has open is compared with what was approved."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import compare, host
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import requests as jit_requests
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitRequest, JitSeen, JitUse

REQUEST = JitRequest(
    id="r",
    host="web1",
    ports=("22", "8000-8100"),
    protocol="tcp",
    sources=("192.0.2.7",),
    duration=3600,
    requested_by="alice",
    requested_for="carol",
    justification="CHG-1",
    requested_at=100,
    valid_until=9000,
    state="open",
    decided_by="bob",
    opened_at=1000,
    until=4600,
    grant="r",
)
GRANT: dict[str, t.Any] = {
    "id": "r",
    "ports": ["22", "8000-8100"],
    "protocol": "tcp",
    "sources": ["192.0.2.7"],
    "duration": 3600,
    "requested_by": "alice",
    "requested_for": "carol",
    "reason": "CHG-1",
    "opened": 1000.0,
    "until": 4600.0,
    "seconds_left": 3000,
    "digest": jit_requests.digest(REQUEST),
    "used": None,
}


def compared(grant: dict[str, t.Any], request: JitRequest | None = REQUEST, now: float = 1600) -> list[tuple[str, str]]:
    requests = {request.id: request} if request else {}
    found = compare.compare({"grants": [grant]}, requests, now)
    return [(item["alert"], item["message"]) for item in found]


@pytest.mark.parametrize("state", ["opening", "unknown", "open"])
def test_what_is_as_it_was_approved_is_no_finding(state: str) -> None:
    assert compared(GRANT, dataclasses.replace(REQUEST, state=state)) == []
    assert compared({**GRANT, "digest": None}) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ports": ["22"]}, "ports is 22, and 22, 8000-8100 was approved"),
        ({"protocol": "both"}, "protocol is both, and tcp was approved"),
        ({"sources": ["0.0.0.0/0"]}, "sources is 0.0.0.0/0, and 192.0.2.7 was approved"),
        ({"sources": ["192.0.2.7", "192.0.2.8"]}, "sources is 192.0.2.7, 192.0.2.8, and 192.0.2.7 was approved"),
        ({"requested_for": "mallory"}, "requested_for is mallory, and carol was approved"),
        ({"requested_by": "mallory"}, "requested_by is mallory, and alice was approved"),
        ({"duration": 7200}, "duration is 7200, and 3600 was approved"),
        ({"seconds_left": 3601}, "it is open for 3601 more seconds, and 3600 in all were approved"),
        ({"seconds_left": "x"}, "it is open for x more seconds, and 3600 in all were approved"),
        ({"digest": "0" * 64}, "the digest of its request is another"),
        ({"ports": None}, "ports is None, and 22, 8000-8100 was approved"),
        ({"requested_for": [None, ["x"]]}, "requested_for is None, ['x'], and carol was approved"),
        ({"duration": [None]}, "duration is None, and 3600 was approved"),
    ],
)
def test_what_differs_is_said(changes: dict[str, t.Any], words: str) -> None:
    ((alert, message),) = compared({**GRANT, **changes})
    assert (alert, message) == ("jit_altered_grant", f"The opening r is not as it was approved: {words}.")


def test_an_opening_that_goes_on_too_long_is_altered() -> None:
    ((alert, _message),) = compared(GRANT, now=1000 + 3600)
    assert alert == "jit_altered_grant"
    # Changing the request in the store changes its digest.
    ((_alert, message),) = compared(GRANT, dataclasses.replace(REQUEST, justification="CHG-2"))
    assert message.endswith("the digest of its request is another.")


@pytest.mark.parametrize("state", ["requested", "approved", "denied", "closed", "replaced"])
def test_an_opening_that_no_request_covers_is_unrecorded(state: str) -> None:
    assert compared(GRANT, None) == [
        (
            "jit_unrecorded_grant",
            "Ports 22/tcp, 8000-8100/tcp for 192.0.2.7 (carol) are open, and the store has no request for it.",
        )
    ]
    ((alert, message),) = compared(GRANT, dataclasses.replace(REQUEST, state=state, ended_at=1200))
    assert (alert, message[-24:]) == ("jit_unrecorded_grant", f"and its request is {state}."[-24:])


@pytest.mark.parametrize("wrong", [None, [None], {"a": 1}, 2**70, "\ud800", "\x00"])
def test_what_a_host_says_of_people_is_shown_whatever_it_is(wrong: t.Any) -> None:
    ((alert, _message),) = compared({**GRANT, "requested_for": wrong, "ports": wrong, "sources": wrong}, None)
    assert alert == "jit_unrecorded_grant"


def test_a_request_covers_one_opening_and_not_a_second_under_another_id() -> None:
    """Whoever may note in the store which grant it was can open the same approval again by hand."""
    request = dataclasses.replace(REQUEST, grant="again")
    again = {**GRANT, "id": "again"}
    (found,) = compare.compare({"grants": [again], "history": [{**GRANT, "ended": 1500.0}]}, {"r": request}, 1600)
    assert (found["alert"], found["subject"]) == ("jit_unrecorded_grant", "r")
    assert found["message"].endswith("were open, and its request was opened as again.")
    (found,) = compare.compare({"grants": [GRANT, again]}, {"r": request}, 1600)
    assert found["message"].endswith("are open, and its request was opened as again.")
    # Another request that names it takes nothing from the one whose id it is.
    other = dataclasses.replace(REQUEST, id="s", ports=("25",))
    for requests in ({"r": REQUEST, "s": other}, {"s": other, "r": REQUEST}):
        assert compare.compare({"grants": [GRANT]}, requests, 1600) == []


def test_an_end_in_the_future_excuses_nothing() -> None:
    closed = dataclasses.replace(REQUEST, state="closed")
    assert compared(GRANT, dataclasses.replace(closed, ended_at=1590)) == []
    assert compared(GRANT, dataclasses.replace(closed, ended_at=1700)) == []
    ((alert, _message),) = compared(GRANT, dataclasses.replace(closed, ended_at=900_000))
    assert alert == "jit_unrecorded_grant"


def test_an_end_that_clocks_see_differently_is_none() -> None:
    expired = dataclasses.replace(REQUEST, state="expired", ended_at=4600)
    assert compared({**GRANT, "seconds_left": 20}, expired, now=4610) == []
    assert [alert for alert, _message in compared(GRANT, expired, now=6000)] == ["jit_unrecorded_grant"]


def test_what_was_open_without_a_request_is_told_of_for_a_week() -> None:
    ended = {**GRANT, "outcome": "closed", "ended": 2000.0}
    result = {"history": [ended]}
    assert [item["alert"] for item in compare.compare(result, {}, 2000 + 6 * 86_400)] == ["jit_unrecorded_grant"]
    assert compare.compare(result, {}, 2000 + 8 * 86_400) == []
    assert compare.compare(result, {"r": dataclasses.replace(REQUEST, state="closed")}, 3000) == []
    denied = dataclasses.replace(REQUEST, state="denied", opened_at=None, grant=None)
    (found,) = compare.compare(result, {"r": denied}, 3000)
    assert found["message"].endswith("were open, and its request is denied, and was never opened.")


def test_the_digest_is_of_all_that_was_approved() -> None:
    digest = jit_requests.digest(REQUEST)
    assert len(digest) == 64
    for changes in (
        {"id": "s"},
        {"host": "web2"},
        {"ports": ("22",)},
        {"protocol": "udp"},
        {"sources": ()},
        {"duration": 1},
        {"requested_for": "x"},
        {"requested_by": "x"},
        {"justification": "x"},
        {"decided_by": "x"},
    ):
        assert jit_requests.digest(dataclasses.replace(REQUEST, **changes)) != digest
    for changes in ({"state": "closed"}, {"until": 1.0}, {"used_packets": 3}):
        assert jit_requests.digest(dataclasses.replace(REQUEST, **changes)) == digest


def test_a_look_is_read_and_what_cannot_be_read_is_left_out() -> None:
    covered = {"coverage": [{"scope": "policy", "status": "checked"}]}
    used = {"packets": 3, "bytes": 400, "first": 1.0, "last": None}
    assert host.seen(
        {
            **covered,
            "grants": [{**GRANT, "used": used}, {"id": 7}, "x", {"id": "s", "seconds_left": True}],
            "history": [
                {
                    "id": "t",
                    "outcome": "closed",
                    "ended": 5,
                    "closed_by": "bob\x1b",
                    "reason": "done",
                    "used": {"packets": -1},
                },
                {"id": "u", "outcome": "melted"},
            ],
        }
    ) == [
        JitSeen("t", how="closed", ended=5.0, closed_by="bob\\x1b", reason="done"),
        JitSeen("r", seconds_left=3000, used=JitUse(3, 400, 1.0, None)),
    ]
    assert host.seen({**covered, "grants": None, "history": 3}) == []
    # Where the host looked at nothing, nothing is known to be closed.
    for result in ({}, {"failed": True, **covered}, {"coverage": [{"scope": "policy", "status": "not_checked"}]}):
        assert host.seen(result) is None
