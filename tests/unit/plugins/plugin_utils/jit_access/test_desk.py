# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job makes of what a host says, and of one that says nothing; the real host is in the integration tests."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import time
import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access import closing, desk, steps
from ansible_collections.bulwark.servers.plugins.plugin_utils.jit_access.desk import Outcome
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    JitActor,
    JitQuery,
    JitRequest,
    Store,
    StoreError,
)

from tests.unit.plugins.plugin_utils.store.samples import WANTED, person

ALICE = person("alice")
_COVERED = [{"scope": "policy", "status": "checked"}]
NOTHING: dict[str, t.Any] = {"coverage": _COVERED, "grants": [], "history": []}
BLIND: dict[str, t.Any] = {"coverage": [{"scope": "policy", "status": "not_checked"}], "grants": [], "history": []}
Answers = t.Mapping[str, t.Any]


class Host:
    """Stand in for a host: an answer for each module, as it is or as a function of the options, or an error."""

    def __init__(self, **answers: t.Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, t.Any]]] = []

    def __call__(self, module: str, options: dict[str, t.Any]) -> dict[str, t.Any]:
        self.asked.append((module, options))
        answer = self.answers[module]
        if isinstance(answer, Exception):
            raise answer
        return t.cast("dict[str, t.Any]", answer(options) if callable(answer) else answer)


def granted(options: Answers) -> dict[str, t.Any]:
    return {"changed": True, "id": options["id"], "grant": {**options, "seconds_left": 3599}}


def has(request: str, **fields: t.Any) -> dict[str, t.Any]:
    return {**NOTHING, "grants": [{"id": request, "seconds_left": 1800, "used": None, **fields}]}


@pytest.fixture
def url(tmp_path: pathlib.Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def approved(url: str, **changes: t.Any) -> str:
    with contextlib.closing(Store.open(url)) as store:
        request = store.jit_request(dataclasses.replace(WANTED, **changes), now=time.time()).request.id
        store.jit_decide(request, "approved", by=person("bob"), reason="", now=time.time())
    return request


def get(url: str, request: str) -> JitRequest:
    with contextlib.closing(Store.open(url, mode="read")) as store:
        (found,) = store.jit_requests(JitQuery(ids=[request]))
    return found


def at(url: str, is_check: bool = False, by: JitActor = ALICE) -> desk.Desk:
    return desk.Desk(url, "web1", by, is_check)


def test_a_request_is_opening_before_the_host_is_asked_and_open_after(url: str) -> None:
    request = approved(url)

    def opens(options: Answers) -> dict[str, t.Any]:
        assert get(url, request).state == "opening"
        return granted(options)

    host, outcome = Host(jit_grant=opens), Outcome()
    at(url).open(request, host, "/state", outcome)
    ((_module, options),) = host.asked
    assert (options["id"], options["state_dir"], len(options["digest"])) == (request, "/state", 64)
    assert get(url, request).state == "open"
    assert outcome.messages[0].endswith(
        " UTC: ports 22/tcp, 8000-8100/tcp of web1 for 192.0.2.7, 2001:db8::/48. It closes by itself."
    )


def test_who_approves_reads_whose_account_asked_in_another_name(url: str) -> None:
    with contextlib.closing(Store.open(url)) as store:
        wanted = dataclasses.replace(WANTED, requested_by="heidi", requested_account="root", requested_login="grace")
        request = store.jit_request(wanted, now=time.time()).request.id
    outcome = Outcome()
    options = {"reason": "", "approvers": [], "self_approval": False}
    at(url, is_check=True, by=person("bob")).decide(request, "approved", options, outcome)
    assert outcome.messages[0].endswith(" of heidi (account grace) by bob.")


REFUSED = {"failed": True, "refused": True, "msg": "ports: TCP port 23 is not one"}
CRASHED = {"failed": True, "module_stdout": "", "rc": 1, "msg": "MODULE FAILURE"}
FAILED = {"failed": True, "msg": "the firewall is broken"}
BROKEN = AnsibleConnectionFailure("the connection was reset")


@pytest.mark.parametrize(
    ("grant", "look", "state", "message"),
    [
        (REFUSED, BLIND, "closed", "was not opened: ports: TCP port 23"),
        ({**FAILED, "usage_error": True}, BLIND, "closed", "was not opened: the firewall is broken"),
        # Whatever else a host says or not: what counts is what it has open.
        (FAILED, NOTHING, "closed", "was not opened: the firewall is broken"),
        (CRASHED, NOTHING, "closed", "was not opened: MODULE FAILURE"),
        (BROKEN, NOTHING, "closed", "was not opened: the connection was reset"),
        (FAILED, BLIND, "unknown", "It is not known whether the request"),
        (CRASHED, BROKEN, "unknown", "It is not known whether the request"),
        (BROKEN, BROKEN, "unknown", "the connection was reset. The next scan of web1 finds out"),
        ({"unreachable": True, "msg": "x"}, {"failed": True}, "unknown", "It is not known whether the request"),
        ({"changed": True}, BLIND, "unknown", "the result of the host cannot be read"),
        ({"changed": True, "id": "?", "grant": {"seconds_left": 5}}, BLIND, "unknown", "cannot be read"),
        ({"changed": True, "id": "r", "grant": {"seconds_left": True}}, BLIND, "unknown", "cannot be read"),
    ],
)
def test_what_is_not_open_is_closed_only_where_the_host_says_so(
    url: str, grant: t.Any, look: t.Any, state: str, message: str
) -> None:
    request = approved(url)
    with pytest.raises(desk.NotOpenError) as error:
        at(url).open(request, Host(jit_grant=grant, jit_access_info=look), None, Outcome())
    assert message in str(error.value)
    assert get(url, request).state == state


@pytest.mark.parametrize("grant", [CRASHED, BROKEN, {"changed": True}])
def test_what_the_host_has_open_is_open_though_it_did_not_say_so(url: str, grant: t.Any) -> None:
    request, outcome = approved(url), Outcome()
    at(url).open(request, Host(jit_grant=grant, jit_access_info=has(request, in_kernel=True)), None, outcome)
    assert get(url, request).state == "open"
    assert outcome.messages[0].startswith("Open until ")


def test_what_the_host_has_noted_and_not_opened_is_unknown(url: str) -> None:
    request = approved(url)
    host = Host(jit_grant=BROKEN, jit_access_info=has(request, in_kernel=False))
    with pytest.raises(desk.NotOpenError, match="It is not known whether the request"):
        at(url).open(request, host, None, Outcome())
    assert get(url, request).state == "unknown"
    # The same step again asks the host, which opens what it has noted.
    host.answers["jit_grant"] = granted
    at(url).open(request, host, None, Outcome())
    assert get(url, request).state == "open"


def test_a_job_that_died_is_gone_on_with_where_the_host_has_it_open(url: str) -> None:
    request, outcome = approved(url), Outcome()
    with contextlib.closing(Store.open(url)) as store:
        store.jit_opening(request, by=ALICE, now=time.time())
    with pytest.raises(StoreError, match="is opening already, so it cannot become opening: another job opens it"):
        at(url).open(request, Host(jit_access_info=NOTHING), None, Outcome())
    with pytest.raises(desk.NotOpenError, match="and web1 cannot be read"):
        at(url).open(request, Host(jit_access_info=BLIND), None, Outcome())
    at(url).open(request, Host(jit_access_info=has(request)), None, outcome)
    assert (get(url, request).state, outcome.messages[0][:10]) == ("open", "Open until")


def test_a_store_that_is_lost_meanwhile_closes_nothing_and_is_said(url: str, tmp_path: pathlib.Path) -> None:
    request, outcome = approved(url), Outcome()

    def opens(options: Answers) -> dict[str, t.Any]:
        for file in tmp_path.glob("store.db*"):
            os.rename(file, tmp_path / f"moved-{file.name}")
        return granted(options)

    at(url).open(request, Host(jit_grant=opens), None, outcome)
    assert "The ports are open, and that could not be recorded: there is no request" in outcome.warnings[0]
    assert outcome.messages[0].startswith("Open until ")


def test_check_mode_notes_nothing(url: str) -> None:
    request, outcome = approved(url), Outcome()
    at(url, is_check=True).open(request, Host(jit_grant=granted), None, outcome)
    assert (get(url, request).state, outcome.messages[0][:13]) == ("approved", "Would be open")
    with pytest.raises(desk.NotOpenError, match=f"^The request {request} would not be opened: ports"):
        at(url, is_check=True).open(request, Host(jit_grant=REFUSED), None, Outcome())
    assert get(url, request).state == "approved"


def opened(url: str, **changes: t.Any) -> str:
    request = approved(url, **changes)
    at(url).open(request, Host(jit_grant=granted), None, Outcome())
    return request


def closed(options: Answers) -> dict[str, t.Any]:
    return {"closed": [{"id": options["id"], "ports": ["22"], "protocol": "tcp", "sources": ["192.0.2.7"]}]}


def close(url: str, host: Host, *ids: str, is_check: bool = False, **wanted: t.Any) -> Outcome:
    outcome = Outcome()
    asked = closing.Wanted(ids, **wanted)
    closing.Closer(url, "web1", ALICE, is_check).close(asked, host, None, outcome)
    return outcome


def test_what_is_closed_is_noted_with_who_did_it_and_how_much_came_in(url: str) -> None:
    request = opened(url)
    ended = {"id": request, "outcome": "closed", "ended": time.time(), "used": {"packets": 7, "bytes": 70}}
    host = Host(jit_grant=closed, jit_access_info={**NOTHING, "history": [ended]})
    outcome = close(url, host, request, reason="done")
    assert (host.asked[0][1]["closed_by"], host.asked[0][1]["reason"]) == ("alice", "done")
    found = get(url, request)
    assert (found.state, found.ended_account, found.end_reason, found.used_packets) == ("closed", "alice", "done", 7)
    sources = "192.0.2.7, 2001:db8::/48"
    assert outcome.messages == [f"Closed ports 22/tcp, 8000-8100/tcp of web1 for {sources} (request {request})."]
    # Again there is nothing to do.
    host.answers["jit_grant"] = {"closed": []}
    assert close(url, host, request).messages == []


def test_all_of_a_host_is_what_either_book_has(url: str) -> None:
    request, other = opened(url), opened(url, requested_for="carol")
    beside = {"id": "beside", "requested_for": "mallory", "seconds_left": 9}
    host = Host(jit_grant=closed, jit_access_info={**NOTHING, "grants": [beside]})
    close(url, host, requested_for="carol")
    assert [options["id"] for module, options in host.asked if module == "jit_grant"] == [other]
    host.asked.clear()
    messages = close(url, host).messages
    assert [options["id"] for module, options in host.asked if module == "jit_grant"] == [request, "beside"]
    assert messages[1] == "Closed ports 22/tcp for 192.0.2.7 (grant beside)."


def test_a_host_that_did_not_say_that_it_is_closed_leaves_it_as_it_was(url: str) -> None:
    request = opened(url)
    for answer in (BROKEN, CRASHED, {"changed": True}):
        with pytest.raises(closing.NotClosedError, match="Ports that may be open on web1 could not be closed: "):
            close(url, Host(jit_grant=answer, jit_access_info=BLIND), request)
        assert get(url, request).state == "open"


@pytest.mark.parametrize(
    ("look", "why"),
    [
        (BROKEN, "the connection was reset"),
        ({"unreachable": True, "failed": True, "msg": "No route to host"}, "No route to host"),
        ({**BLIND, "coverage": [{"scope": "policy", "status": "not_checked", "reason": "No root."}]}, "No root."),
        ({"coverage": "none"}, "the result of the host cannot be read"),
    ],
)
def test_a_host_that_cannot_be_looked_at_is_no_host_on_which_nothing_is_open(url: str, look: t.Any, why: str) -> None:
    host = Host(jit_grant=closed, jit_access_info=look)
    with pytest.raises(closing.NotClosedError, match=f"Ports that may be open on web1 could not be closed: {why}"):
        close(url, host)
    # What the store has is closed all the same.
    request = opened(url)
    with pytest.raises(closing.NotClosedError):
        close(url, host)
    assert [options["id"] for module, options in host.asked if module == "jit_grant"] == [request]
    assert get(url, request).state == "closed"


def test_an_opening_is_closed_under_the_id_of_its_request_too(url: str) -> None:
    request = approved(url)
    with contextlib.closing(Store.open(url)) as store:
        store.jit_opening(request, by=ALICE, now=time.time())
        store.jit_open(request, by=ALICE, grant="another", now=time.time())
    host = Host(
        jit_grant=lambda options: closed(options) if options["id"] == request else {"closed": []},
        jit_access_info=NOTHING,
    )
    assert close(url, host, request).messages[0].startswith("Closed ports 22/tcp")
    assert get(url, request).state == "closed"


def test_what_had_ended_before_is_settled_from_the_host(url: str) -> None:
    request = opened(url)
    ended = {"id": request, "outcome": "rebooted", "ended": time.time()}
    host = Host(jit_grant={"closed": []}, jit_access_info={**NOTHING, "history": [ended]})
    outcome = close(url, host, request)
    assert outcome.messages[0].startswith("Expired before: ports 22/tcp, 8000-8100/tcp of web1 for")
    assert outcome.messages[0].endswith(f"(request {request}): the host was restarted.")
    assert get(url, request).state == "expired"


def test_check_mode_closes_nothing(url: str) -> None:
    request = opened(url)
    outcome = close(url, Host(jit_grant=closed), request, is_check=True)
    assert outcome.messages[0].startswith("Would be closed: ports")
    assert get(url, request).state == "open"


def test_without_a_store_the_host_is_closed_all_the_same(tmp_path: pathlib.Path) -> None:
    host = Host(jit_grant=closed, jit_access_info=has("r"))
    outcome = close(f"sqlite:///{tmp_path}/none.db", host)
    assert outcome.messages == ["Closed ports 22/tcp for 192.0.2.7 (grant r)."]
    assert outcome.warnings[0].startswith("This was closed on the host, and the store could not be used: there is no")
    assert outcome.warnings[0].endswith("the next scan of web1 records it.")
    assert not (tmp_path / "none.db").exists()
    (warning,) = close(f"sqlite:///{tmp_path}/none.db", host, is_check=True).warnings
    assert warning.startswith("Only the host was asked for its openings, as the store could not be used: there is no")
    assert "records it" not in warning


def test_why_it_was_opened_is_no_reason_to_close_it(url: str) -> None:
    """The host has that in the same field where nobody gave a reason."""
    for reason, recorded in (("CHG-1", ""), ("done", "done")):
        request = opened(url)
        ended = {"id": request, "outcome": "closed", "reason": reason, "opened_reason": "CHG-1", "closed_by": "bob"}
        close(url, Host(jit_grant={"closed": []}, jit_access_info={**NOTHING, "history": [ended]}), request)
        assert (get(url, request).ended_by, get(url, request).end_reason) == ("bob", recorded)


def test_a_person_for_whom_nothing_is_open_may_be_one_with_a_similar_name(url: str, tmp_path: pathlib.Path) -> None:
    opened(url)
    person_with_access = WANTED.requested_for
    similar = steps.similar_people(url, person_with_access + "x", "web1")

    assert similar == [f"Nothing was open for {person_with_access}x on web1: did you mean {person_with_access}?"]
    assert steps.similar_people(url, person_with_access, "web1") == []
    assert steps.similar_people(url, person_with_access + "x", "web2") == []
    assert steps.similar_people(f"sqlite:///{tmp_path}/none/findings.db", person_with_access + "x", "web1") == []
