# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that open and close ports: with real rules and connections, and what they say to mistakes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, JitQuery, JitRequest, Store

from tests.integration import _mistakes
from tests.integration.jit_access._jit import Site, listening, site
from tests.support.controllers import Controller, controller
from tests.unit.plugins.plugin_utils.store.samples import WANTED

OPEN, CLOSE = "bulwark.servers.jit_open", "bulwark.servers.jit_close"
# Nothing listens where web2 should be.
INVENTORY = "web1 ansible_connection=local\nweb2 ansible_host=127.0.0.1 ansible_port=1\n"


@pytest.fixture(scope="module")
def release() -> str:
    """Return the ansible-core that a test runs with, unless it names others: each run of a playbook takes its time.

    It is one that other files do not run.
    """
    return "2.19"


@pytest.fixture
def ansible(release: str) -> Controller:
    return controller(release)


class Desk:
    """Where people run the playbooks, with names of jit_actor; who approves has an account of their own."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self._ansible, self.directory = ansible, directory
        self._inventory = directory / "hosts"
        self._inventory.write_text(INVENTORY)
        self.url = f"sqlite:///{directory}/store.db"
        self.variables: dict[str, t.Any] = {"bulwark_store": self.url, "bulwark_become": False}

    def run(
        self, playbook: str, *arguments: str, works: bool = True, account: str | None = None, **variables: t.Any
    ) -> str:
        """Return what the job printed, on one line, as Ansible breaks lines where it likes. account: who runs it."""
        answer = self._ansible.run_playbook(
            playbook,
            *arguments,
            inventory=self._inventory,
            extra_vars={**self.variables, **variables},
            state=self.directory,
            environment={"BULWARK_STORE": "", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SHOW_CUSTOM_STATS": "1"},
            check=False,
            account=account,
        )
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())

    def requests(self, **query: t.Any) -> list[JitRequest]:
        with contextlib.closing(Store.open(self.url)) as store:
            return store.jit_requests(JitQuery(**query))


@pytest.fixture
def desk(ansible: Controller, tmp_path: pathlib.Path) -> Desk:
    return Desk(ansible, tmp_path)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path, desk: Desk) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        found.lock()
        desk.variables["jit_access_state_dir"] = str(found.state)
        yield found


_KERNEL = [
    pytest.mark.requires("root", "command:nft", "command:ip"),
    pytest.mark.xdist_group("jit_playbooks"),
]


def kernel(test: t.Any) -> t.Any:
    for mark in _KERNEL:
        test = mark(test)
    return test


def ask(site: Site, **changes: t.Any) -> dict[str, t.Any]:
    return {
        "jit_host": "web1",
        "jit_ports": "22,8001",
        "jit_source": f"{site.friend.address[4]},{site.friend.address[6]}",
        "jit_duration": "10m",
        "jit_justification": "CHG-1",
        **changes,
    }


# The whole way with the oldest ansible-core; all that leaves it, with the newest.
@kernel
@pytest.mark.parametrize("release", ["2.18"])
def test_ports_are_requested_approved_opened_and_closed_each_by_a_job_of_its_own(desk: Desk, site: Site) -> None:
    """Before each job the same is tried in check mode, which opens nothing and keeps nothing."""

    def reached() -> list[bool]:
        return [
            client.connects(site.host, port, version)
            for client in (site.friend, site.stranger)
            for port in (22, 8001)
            for version in (4, 6)
        ]

    with listening(site.host, 22, 8001), site.host.entered():
        for step in ("all", "request"):
            said = desk.run(OPEN, "--check", jit_step=step, jit_self_approval=True, **ask(site))
            assert "Would be requested: ports 22/tcp, 8001/tcp of web1 for" in said
            assert "Requested " not in said
        assert not (desk.directory / "store.db").exists()
        output = desk.run(OPEN, jit_step="request", jit_actor="ada", **ask(site))
        (request,) = desk.requests()
        assert (
            f"Requested {request.id}: ports 22/tcp, 8001/tcp of web1 for 10.99.0.2, fd99::2, for 10 minutes." in output
        )
        # The next job of a workflow gets it as a variable.
        assert f'"jit_request": [ "{request.id}" ]' in output
        assert (request.state, request.requested_by, request.requested_for, request.duration) == (
            "requested",
            "ada",
            "ada",
            600,
        )

        output = desk.run(OPEN, jit_step="open", jit_actor="ada", jit_request=[request.id], works=False)
        assert (
            f"the request {request.id} is requested, so it cannot become opening: it has to be approved first" in output
        )
        output = desk.run(OPEN, jit_step="approve", jit_actor="ada", jit_request=request.id, works=False)
        assert "'s own, so somebody else has to approve it" in output
        assert not any(reached())

        approval = {"jit_step": "approve", "jit_actor": "bob", "account": "games", "jit_request": request.id}
        said = desk.run(OPEN, "--check", **approval)
        told = f"{request.id} (ports 22/tcp, 8001/tcp of web1 for 10.99.0.2, fd99::2) of ada (account root) by bob "
        assert f"Would be approved: {told}(account games)." in said
        assert [found.state for found in desk.requests()] == ["requested"]
        output = desk.run(OPEN, jit_approvers="games,eve", **approval)
        assert f"Approved {request.id} (ports 22/tcp, 8001/tcp of web1 for 10.99.0.2, fd99::2) of ada " in output
        # The names are of jit_actor.
        assert "of ada (account root) by bob (account games)." in output
        assert (desk.requests()[0].decided_account, desk.requests()[0].decided_asserted) == (
            "games",
            "the option actor",
        )
        assert not any(reached())

        said = desk.run(OPEN, "--check", jit_step="open", jit_actor="ada", jit_request=request.id)
        assert "Would be open until " in said
        assert [found.state for found in desk.requests()] == ["approved"]
        assert not any(reached())
        output = desk.run(OPEN, jit_step="open", jit_actor="ada", jit_request=request.id)
        (request,) = desk.requests()
        assert (request.state, request.decided_by, request.opened_by, request.grant) == (
            "open",
            "bob",
            "ada",
            request.id,
        )
        assert re.search(r"Open until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC: ports 22/tcp, 8001/tcp of web1", output)
        assert reached() == [True] * 4 + [False] * 4
        (grant,) = site.info()["grants"]
        assert (grant["requested_for"], grant["requested_by"], grant["reason"]) == ("ada", "ada", "CHG-1")
        # What the store says of the end is what the host says.
        assert request.until is not None
        assert request.until == pytest.approx(grant["until"], abs=5)

        output = desk.run(OPEN, jit_step="open", jit_actor="ada", jit_request=request.id, works=False)
        assert "is open, so it cannot become opening: make another request to have it open for longer" in output
        assert [one["until"] for one in site.info()["grants"]] == [grant["until"]]

        assert f"(request {request.id})." in desk.run(CLOSE, "--check", jit_request=request.id)
        assert [found.state for found in desk.requests()] == ["open"]
        assert reached() == [True] * 4 + [False] * 4
        output = desk.run(CLOSE, jit_request=request.id, jit_actor="ada", jit_reason="done")
        assert f"Closed ports 22/tcp, 8001/tcp of web1 for 10.99.0.2, fd99::2 (request {request.id})." in output
        assert not any(reached())
        (request,) = desk.requests()
        assert (request.state, request.ended_by, request.end_reason) == ("closed", "ada", "done")


@kernel
def test_who_may_do_it_alone_does_it_at_once_and_closes_by_host(desk: Desk, site: Site) -> None:
    with listening(site.host, 22), site.host.entered():
        desk.run(OPEN, jit_self_approval=True, jit_actor="ada", **ask(site, jit_ports=22))
        assert site.friend.connects(site.host, 22)
        # A newer one of the same person for the same takes its place, on the host as in the store.
        desk.run(OPEN, jit_self_approval=True, jit_actor="ada", **ask(site, jit_ports=22))
        desk.run(OPEN, jit_self_approval=True, jit_actor="ada", jit_requested_for="carol", **ask(site, jit_ports=22))
        assert sorted(request.state for request in desk.requests()) == ["open", "open", "replaced"]
        assert len(site.info()["grants"]) == 2
        desk.run(CLOSE, "--limit", "web1", jit_requested_for="carol")
        assert site.friend.connects(site.host, 22)
        # By somebody on the host: the store learns it from there.
        site.grant(state="closed", requested_for="ada")
        (left,) = desk.requests(states=["open"])
        said = desk.run(CLOSE, jit_request=left.id)
        assert f"Closed before: ports 22/tcp of web1 for 10.99.0.2, fd99::2 (request {left.id})" in said
        assert "Nothing was open." not in said
        (left,) = desk.requests(ids=[left.id])
        assert (left.state, left.ended_asserted) == ("closed", None)
        assert "Nothing was open." in desk.run(CLOSE, jit_host="web1")


@kernel
def test_what_the_host_refuses_is_not_open_in_the_store(desk: Desk, site: Site) -> None:
    with site.host.entered():
        output = desk.run(OPEN, works=False, jit_self_approval=True, **ask(site, jit_ports="23"))
    (request,) = desk.requests()
    assert f"The request {request.id} was not opened: jit_ports: the policy does not lock TCP port 23" in output
    assert request.state == "closed"
    assert request.end_reason is not None
    assert request.end_reason.startswith("it could not be opened: ports: the policy does not lock TCP port 23")
    assert site.info()["grants"] == []


def test_a_host_that_is_down_leaves_the_request_as_it_was(desk: Desk) -> None:
    with contextlib.closing(Store.open(desk.url)) as store:
        wanted = dataclasses.replace(WANTED, host="web2", ports=("22",))
        request = store.jit_request(wanted, now=time.time()).request
        store.jit_decide(request.id, "approved", by=JitActor("bob", "bob"), reason="", now=time.time())
    desk.run(OPEN, jit_step="open", jit_actor="ada", jit_request=request.id, works=False)
    assert [found.state for found in desk.requests()] == ["approved"]
    desk.run(OPEN, jit_step="deny", jit_actor="bob", jit_request=request.id, jit_reason="the host is down")
    (request,) = desk.requests()
    assert (request.state, request.decision_reason) == ("denied", "the host is down")


def test_several_hosts_are_requested_and_approved_together(desk: Desk) -> None:
    asked = {"jit_ports": "22", "jit_source": "192.0.2.7", "jit_justification": "CHG-1"}
    policy = [{"port": 22, "max_duration": 3600}]
    (desk.directory / "hosts").write_text(INVENTORY + "[all:vars]\njit_access_ports=" + json.dumps(policy) + "\n")
    output = desk.run(OPEN, jit_step="request", jit_host="web*", jit_actor="ada", works=False, **asked)
    assert (
        "the policy of web2 does not allow that: jit_duration is 10800 seconds, and the policy allows at most 3600"
        in output
    )
    assert not (desk.directory / "store.db").exists() or desk.requests() == []
    desk.run(OPEN, jit_step="request", jit_host="web*", jit_actor="ada", jit_duration="1h", **asked)
    ids = [request.id for request in desk.requests()]
    output = desk.run(
        OPEN, jit_step="approve", jit_actor="bob", jit_host="web1", jit_request=", ".join(ids), works=False
    )
    assert "Requests are for web2, not among the hosts of this job; correct jit_host or the limit." in output
    desk.run(OPEN, jit_step="approve", jit_actor="bob", account="games", jit_request=", ".join(ids))
    assert [request.state for request in desk.requests()] == ["approved", "approved"]


_ASKED = {"jit_ports": "22", "jit_source": "192.0.2.7", "jit_justification": "CHG-1"}
_MISTAKES: list[tuple[str, dict[str, t.Any], str]] = [
    (OPEN, {}, "jit_ports and jit_justification are missing: jit_step=all needs jit_ports and jit_justification."),
    (
        OPEN,
        {"jit_step": "request", "jit_ports": "22"},
        "jit_justification is missing: jit_step=request needs jit_ports",
    ),
    (OPEN, {"jit_step": "request", **_ASKED}, "jit_host is missing; name the hosts whose ports are to be opened"),
    (OPEN, {"jit_step": "request", "jit_host": "", **_ASKED}, "jit_host is missing; name the hosts whose ports are"),
    (OPEN, {"jit_step": "approve"}, "jit_request is missing: jit_step=approve needs jit_request."),
    (
        OPEN,
        {"jit_step": "deny", "jit_request": "x"},
        "jit_reason is missing: jit_step=deny needs jit_request and jit_reason.",
    ),
    (OPEN, {"jit_step": "reopen"}, "value of jit_step must be one of: all, request, approve, deny, open, got: reopen"),
    (
        OPEN,
        {"jit_host": "web1", **_ASKED},
        "Nothing was requested, as nobody may approve their own request: run this with",
    ),
    (OPEN, {"jit_host": "web1", "jit_port": "22"}, "There is no option 'jit_port'; did you mean jit_ports?"),
    (
        OPEN,
        {"jit_host": "web1", "jit_step": "request", **_ASKED, "jit_source": ""},
        "the address of the requester is not known here: give jit_source, as in 192.0.2.7",
    ),
    (CLOSE, {}, "jit_request and jit_host are missing; give the ids of the requests to close"),
    (CLOSE, {"jit_request": ["lost"]}, "Nothing is open by lost on the hosts of this job; jit_requests_info shows the"),
    (OPEN, {"jit_step": "open", "jit_request": "lost"}, "There is no request lost in the store."),
]


def test_mistakes_are_said_and_nothing_is_stored(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSH_CONNECTION", "SSH_CLIENT"):
        monkeypatch.delenv(name, raising=False)
    Store.open(desk.url).close()
    # What a task that runs once refuses fails its other hosts for all plays.
    (desk.directory / "hosts").write_text("web1 ansible_connection=local\n")
    plays = _mistakes.write(desk.directory, [(playbook, variables) for playbook, variables, _message in _MISTAKES])
    outputs = _mistakes.outputs(desk.run(str(plays)), len(_MISTAKES))
    for (_playbook, variables, message), output in zip(_MISTAKES, outputs, strict=True):
        assert message in output, variables
    assert desk.requests() == []


@pytest.mark.parametrize(
    ("playbook", "variables", "message"),
    [
        (OPEN, {"jit_host": "web3", **_ASKED}, "no host matches 'web3'"),
        # Nobody can say what is open on a host that is down.
        (CLOSE, {"jit_host": "web2"}, "Ports that may be open on web2 could not be closed: "),
    ],
)
def test_a_mistake_fails_the_job(desk: Desk, playbook: str, variables: dict[str, t.Any], message: str) -> None:
    assert message in desk.run(playbook, works=False, **variables)
