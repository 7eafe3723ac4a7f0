# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store and the host say the same of what is open, whatever dies between them: real rules, sshd and databases."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import state
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, JitQuery, JitRequest, Store

from tests.integration import _team
from tests.integration._team import until
from tests.integration.jit_access._jit import Site, listening, site
from tests.support import postgresql
from tests.support.controllers import Controller
from tests.support.waiting import open_files
from tests.unit.plugins.plugin_utils.store.samples import WANTED

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:sshd", "command:ssh"),
    pytest.mark.xdist_group("jit_records"),
]
# Seconds between two looks into the store or at all processes, which take processor time themselves.
_PAUSE = 0.1
ADA, BOB = (JitActor(name, name) for name in ("ada", "bob"))


class Office(_team.Team):
    """A controller with a store, which opens and closes ports of a host over SSH."""

    def __init__(self, found: Site, controller: Controller, directory: pathlib.Path, sockets: str) -> None:
        super().__init__(found.host, found.friend, controller, directory, sockets)
        self.site = found
        self.url = f"sqlite:///{directory}/store.db"
        self._environment["BULWARK_STORE"] = ""
        # No terminal, whose end would end the module.
        self._environment["ANSIBLE_PIPELINING"] = "1"
        self.options = {"state_dir": str(found.state)}

    def approved(self, **changes: t.Any) -> str:
        """Return the id of a request to open port 8001 for the stranger, which somebody else has approved."""
        with contextlib.closing(Store.open(self.url)) as store:
            given = {"host": "web", "ports": ("8001",), "sources": (self.site.stranger.address[4],), "duration": 600}
            wanted = dataclasses.replace(WANTED, **{**given, **changes})
            request = store.jit_request(wanted, now=time.time()).request.id
            store.jit_decide(request, "approved", by=BOB, reason="", now=time.time())
            return request

    def task(self, module: str, **options: t.Any) -> dict[str, t.Any]:
        given = {"store": self.url, **self.options, **options}
        return {f"bulwark.servers.{module}": given, "register": "answer"}

    def opens(self, request: str) -> dict[str, t.Any]:
        return self.task("jit_open", step="open", request=[request])

    def closes(self, *requests: str, **options: t.Any) -> dict[str, t.Any]:
        return self.task("jit_close", request=list(requests), host="web", **options)

    def looks(self) -> dict[str, t.Any]:
        code, said = self.run(self.task("jit_access_info"), self.show("answer"))
        assert code == 0, said
        return self.shown

    def request(self, request: str) -> JitRequest:
        with contextlib.closing(Store.open(self.url, mode="read")) as store:
            (found,) = store.jit_requests(JitQuery(ids=[request]))
        return found

    def is_open(self) -> bool:
        return self.site.stranger.connects(self.site.host, 8001)

    @contextlib.contextmanager
    def busy(self) -> t.Iterator[None]:
        """Have the host's module wait while the block runs: something else has its lock."""
        with state.directory({"state_dir": str(self.site.state)}, create=False) as where:
            assert where is not None
            with where.locked(records.LOCK, 10):
                yield

    def is_waiting(self) -> bool:
        """Say whether the host's module has come as far as the lock: before that it may not be there as a whole."""
        lock = str(self.site.state / "jit" / records.LOCK)
        return any(lock in open_files(process) for process in processes_of(self.site.host.name, b"python"))

    def wait_for(self, request: str, wanted: str) -> None:
        until(lambda: self.request(request).state == wanted, pause=_PAUSE)


@pytest.fixture
def office(tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]) -> t.Iterator[Office]:
    with site(tmp_path) as found, _team.sshd(found.host, found.friend, tmp_path) as sockets:
        found.lock(always_allow=[found.friend.address[4]])
        with listening(found.host, 8001):
            yield Office(found, controller("2.21"), tmp_path, sockets)


def kill(pid: int) -> None:
    """End a process and what it started, at once; Ansible's workers have sessions of their own."""
    os.kill(pid, signal.SIGSTOP)
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        kill(int(child))
    os.kill(pid, signal.SIGKILL)


def alerts(looked: t.Mapping[str, t.Any]) -> list[str]:
    """Return the alerts of a look about openings; who tried to connect is another matter."""
    found = [finding["metadata"]["event_code"] for finding in looked["findings"]]
    return [alert for alert in found if alert != "jit_locked_port_attempts"]


def processes_of(namespace: str, program: bytes) -> list[int]:
    """Return the processes of a network namespace that run a program: a module's is python."""
    inside = os.stat(f"/run/netns/{namespace}").st_ino
    found = []
    for process in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and os.stat(process / "ns/net").st_ino == inside:
                command = (process / "cmdline").read_bytes()
                if program in command.split(b"\0")[0]:
                    found.append(int(process.name))
    return found


def test_a_controller_that_is_killed_leaves_it_unknown_and_the_next_look_finds_it_open(office: Office) -> None:
    request = office.approved()
    with office.busy():
        process = office.start([office.opens(request)])
        try:
            # What is about to happen is known before it does.
            office.wait_for(request, "opening")
            until(office.is_waiting, pause=_PAUSE)
        finally:
            kill(process.pid)
            process.communicate()
    until(office.is_open)
    assert office.request(request).state == "opening"
    with contextlib.closing(Store.open(office.url, mode="read")) as store:
        assert [found.state for found in store.jit_requests(now=time.time() + 400)] == ["unknown"]
    looked = office.looks()
    assert alerts(looked) == []
    found = office.request(request)
    assert (found.state, found.grant) == ("open", request)
    assert found.until == pytest.approx(looked["grants"][0]["until"], abs=10)
    # Who opens it again is told until when it is, and changes nothing.
    again = {**office.opens(request), "register": "again", "ignore_errors": True}
    code, said = office.run(again, office.closes(request, reason="done"), office.show("again"))
    assert code == 0, said
    assert office.shown["failed"]
    assert "is open, so it cannot become opening" in said
    assert not office.is_open()
    assert (office.request(request).state, office.request(request).end_reason) == ("closed", "done")


def test_a_module_that_is_killed_leaves_the_host_to_say_that_nothing_was_opened(office: Office) -> None:
    request = office.approved()
    with office.busy():
        process = office.start([office.opens(request)])
        office.wait_for(request, "opening")
        until(office.is_waiting, pause=_PAUSE)
        for module in processes_of(office.site.host.name, b"python"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(module, signal.SIGKILL)
        said, _nothing = process.communicate(timeout=120)
    assert process.returncode != 0
    assert f"The request {request} was not opened:" in " ".join(said.split())
    assert not office.is_open()
    found = office.request(request)
    assert (found.state, (found.end_reason or "")[:22]) == ("closed", "it could not be opened")


def test_a_host_that_cannot_be_asked_again_leaves_it_unknown_and_never_closed(office: Office) -> None:
    request = office.approved()
    with office.busy():
        process = office.start([office.opens(request)])
        office.wait_for(request, "opening")
        until(office.is_waiting, pause=_PAUSE)
        # The controller's way to the host breaks while the module runs, and stays broken.
        rule = "type filter hook input priority -300; tcp dport 22 reject with tcp reset"
        table = f"table inet broken {{ chain input {{ {rule}; }}; }}"
        office.site.nft("-f", "-", given=table)
        for session in processes_of(office.site.host.name, b"sshd-session"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(session, signal.SIGKILL)
    until(office.is_open)
    said, _nothing = process.communicate(timeout=120)
    said = " ".join(said.split())
    assert process.returncode != 0
    assert f"It is not known whether the request {request} is open, as the host returned no result" in said
    assert office.request(request).state == "unknown"
    office.site.nft("delete", "table", "inet", "broken")
    # The same step again asks the host, which has it open.
    code, said = office.run(office.opens(request), office.show("answer"))
    assert code == 0, said
    assert office.shown["messages"][0].startswith("Open until ")
    assert office.request(request).state == "open"


@pytest.mark.requires("postgresql", "module:psycopg")
def test_what_is_open_is_closed_while_the_store_is_down_or_read_only_and_recorded_later(office: Office) -> None:
    with postgresql.running() as server:
        office.url = server.empty_database()
        request, other = office.approved(), office.approved(ports=("8002",))
        code, said = office.run(office.opens(request), office.opens(other))
        assert code == 0, said
        assert office.is_open()
        # PostgreSQL as a standby is, or with a full disk.
        with server._connect() as connection:
            connection.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        code, said = office.run(office.closes(request, reason="done", actor="carol"), office.show("answer"))
        assert code == 0, said
        assert not office.is_open()
        assert "This was closed on the host, and the store could not be used" in said
        assert office.shown["messages"] == [
            f"Closed ports 8001/tcp of web for {office.site.stranger.address[4]} (request {request})."
        ]
        assert office.request(request).state == "open"
        with server._connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER DATABASE postgres SET default_transaction_read_only = off")
        # It is down: what is open is asked of the host.
        down = office.url.replace("host=", "host=/nowhere")
        closes = office.task("jit_close", host="web", store=down, reason="gone")
        code, said = office.run(closes, office.task("jit_access_info"), office.show("answer"))
        assert code == 0, said
        assert [grant["id"] for grant in office.site.info()["grants"]] == []
        assert "the store could not be used" in said
        assert alerts(office.shown) == []
        for one, reason in ((request, "done"), (other, "gone")):
            found = office.request(one)
            assert (found.state, found.end_reason, found.ended_asserted) == ("closed", reason, "the host")
        assert office.request(request).ended_by == "carol"


def test_what_was_opened_or_changed_beside_the_store_is_a_finding(office: Office) -> None:
    request = office.approved()
    code, said = office.run(office.opens(request))
    assert code == 0, said
    office.site.grant(id="beside", ports=["8002"], sources=[office.site.stranger.address[4]], requested_for="mallory")
    looked = office.looks()
    (finding,) = looked["findings"]
    assert (finding["metadata"]["event_code"], finding["severity"]) == ("jit_unrecorded_grant", "Medium")
    assert "(mallory) are open, and the store has no request for it" in finding["message"]
    assert [entry["status"] for entry in looked["coverage"]] == ["checked"] * 3
    code, said = office.run(office.closes("beside"), office.task("jit_access_info"), office.show("answer"))
    assert code == 0, said
    # It is still told of for a while.
    assert "were open, and the store has no request" in office.shown["findings"][0]["message"]

    file = office.site.state / "jit" / "grants.json"
    book = json.loads(file.read_text())
    (mine,) = book["open"]
    mine["sources"] = ["0.0.0.0/0"]
    file.write_text(json.dumps(book))
    by_alert = {found["metadata"]["event_code"]: found for found in office.looks()["findings"]}
    assert by_alert["jit_altered_grant"]["severity"] == "High"
    assert "sources is 0.0.0.0/0, and 10.99.0.3 was approved" in by_alert["jit_altered_grant"]["message"]


def test_without_the_store_nothing_is_compared_and_coverage_says_so(office: Office, tmp_path: pathlib.Path) -> None:
    office.site.grant(id="beside", ports=["8002"])
    office.url = f"sqlite:///{tmp_path}/none.db"
    looked = office.looks()
    entry = looked["coverage"][2]
    assert (entry["scope"], entry["status"]) == ("requests", "not_checked")
    assert entry["reason"].startswith("The requests could not be read: there is no store at")


def test_a_request_in_a_store_of_ones_own_is_warned_of(office: Office, tmp_path: pathlib.Path) -> None:
    ask = {"step": "request", "host": "web", "ports": [8001], "source": ["10.99.0.3"], "justification": "CHG-1"}
    office._environment["XDG_STATE_HOME"] = str(tmp_path)
    asked = {"state": "requested", "ports": [8001], "sources": ["10.99.0.3"], "justification": "CHG-1"}
    modules: list[tuple[str, dict[str, t.Any]]] = [("jit_open", ask), ("jit_request", asked)]
    stores: list[dict[str, t.Any]] = [{}, {"store": office.url}]
    tasks = [
        {f"bulwark.servers.{module}": {**options, **store}, "register": f"{module}_{number}"}
        for module, options in modules
        for number, store in enumerate(stores)
    ]
    names = ", ".join(f"{task['register']}.warnings | default([])" for task in tasks)
    code, said = office.run(*tasks, office.show(f"{{'all': [{names}]}}"))
    assert code == 0, said
    warned = f"The request is in {tmp_path}/bulwark/findings.db, the store of this account alone"
    assert warned in " ".join(said.split())
    own, shared, own_too, shared_too = (" ".join(warnings) for warnings in office.shown["all"])
    assert warned in own
    assert warned in own_too
    assert "the store of this account alone" not in shared + shared_too


def test_no_variable_and_no_environment_approves_ones_own_request(office: Office) -> None:
    ask = {"step": "request", "host": "web", "ports": [8001], "source": ["10.99.0.3"], "justification": "CHG-1"}
    code, said = office.run(office.task("jit_open", **{**ask, "actor": "grace"}), office.show("answer"))
    assert code == 0, said
    (asked,) = office.shown["requests"]
    assert (asked["requested_by"], asked["requested_asserted"]) == ("grace", "the option actor")
    approve = office.task("jit_open", step="approve", request=[asked["id"]], approvers=["heidi"])
    office._environment["LOGNAME"] = office._environment["USER"] = "heidi"
    anybody = office.task("jit_open", step="approve", request=[asked["id"]])
    for variables in ({}, {"awx_user_name": "heidi", "awx_job_id": 7}):
        code, said = office.run({**approve, "ignore_errors": True}, anybody, **variables)
        assert code != 0
        said = " ".join(said.split())
        assert "is not one of the approvers, who are heidi; let one of them decide" in said
        assert "so somebody else has to approve it" in said
    assert office.request(asked["id"]).state == "requested"
