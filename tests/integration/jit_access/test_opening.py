# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A grant between the book and the kernel: killed at each step, refused by the kernel, opened under an id again."""

from __future__ import annotations

import dataclasses
import functools
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock, nftables, reopening, state

from tests.integration.jit_access._jit import Site, listening, site
from tests.integration.jit_access.test_reload import load

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("jit_opening"),
]

# What changes the book, the kernel, or the note from which a reload opens again.
STEPS = ((state, "write_book"), (nftables.Nftables, "put"), (nftables.Nftables, "note"), (reopening, "forget"))
# Before each of the steps (write, forget, put, write, note), and after the last one.
KILLS = (0, 2, 4, 6, 8, 9)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _killed(step: int, act: t.Callable[[], t.Any]) -> None:
    """Do something in this process, and kill it at a step."""
    left = [step]

    def stop() -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    def wrapped(real: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        @functools.wraps(real)
        def call(*arguments: t.Any, **named: t.Any) -> t.Any:
            stop()
            result = real(*arguments, **named)
            stop()
            return result

        return call

    for owner, name in STEPS:
        setattr(owner, name, wrapped(getattr(owner, name)))
    act()


def killed(step: int, act: t.Callable[[], t.Any]) -> bool:
    """Do something in a process that is killed at a step; return whether it came to that step."""
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(step, act))
    process.start()
    process.join(30)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def openings(site: Site) -> list[str]:
    """Return what the kernel has open: sources of port 22."""
    elements = json.loads(site.nft("--json", "list", "set", "inet", "bulwark_jit", "grants4"))["nftables"][1]["set"]
    return [one["elem"]["val"]["concat"][0] for one in elements.get("elem", ())]


def is_all_named(site: Site) -> None:
    """Assert that the book names everything that is open, also after nftables was loaded anew."""
    for reloaded in (False, True):
        before = openings(site)
        if reloaded:
            load(site)
            assert set(openings(site)) <= set(before), "what was closed is not opened again"
        seen = site.info()
        assert "openings" not in [one["subject"] for one in seen["detections"]]
        named = [source for one in seen["grants"] for source in one["sources"]]
        assert set(openings(site)) <= set(named)


@pytest.mark.parametrize("step", KILLS)
def test_killed_while_it_opens_the_book_names_what_is_open(site: Site, step: int) -> None:
    with listening(site.host, 22):
        site.lock()
        assert killed(step, lambda: site.grant(id="request-1"))
        is_open = site.friend.connects(site.host, 22)
        is_all_named(site)
        (one,) = site.info()["grants"] or (None,)
        assert one is not None or not is_open
        if one is not None:
            assert one["in_kernel"] in (is_open, False), "loaded anew, it may be closed"
            assert site.grant(state="closed", id="request-1")["changed"]
        assert not site.friend.connects(site.host, 22)
        is_all_named(site)
        assert site.grant(id="request-2")["changed"]
        assert site.friend.connects(site.host, 22)


@pytest.mark.parametrize("step", KILLS)
def test_killed_while_it_takes_the_place_of_another_the_book_names_both(site: Site, step: int) -> None:
    site.lock()
    site.grant(id="request-1")
    # A shorter one, so that what is open of the other would be too long for it.
    shorter = {"id": "request-2", "duration": 600}
    assert killed(step, lambda: site.grant(**shorter))
    assert len(openings(site)) == 1
    is_all_named(site)
    ids = {one["id"] for one in site.info()["grants"]}
    assert ids
    # The same again does what is left of it.
    again = site.grant(**shorter)
    assert [one["id"] for one in site.info()["grants"]] == ["request-2"]
    assert again["replaced"] == (["request-1"] if "request-1" in ids else [])
    assert site.info()["grants"][0]["in_kernel"]
    assert site.findings() == []
    site.grant(state="closed", requested_for="ada")
    assert openings(site) == []
    is_all_named(site)


@pytest.mark.parametrize("step", KILLS)
def test_killed_while_it_closes_the_book_names_it_until_it_is_closed(site: Site, step: int) -> None:
    site.lock()
    site.grant(id="request-1")
    assert killed(step, lambda: site.grant(state="closed", id="request-1", closed_by="grace", reason="she left"))
    is_all_named(site)
    was_open = openings(site)
    # Whatever is done meanwhile, what was closed is not open again.
    site.grant(id="request-2", sources=["10.99.0.3"], requested_for="bob")
    assert set(openings(site)) <= {*was_open, "10.99.0.3"}
    site.grant(state="closed", id="request-2")
    left = [one["id"] for one in site.info()["grants"]]
    assert site.grant(state="closed", id="request-1")["changed"] is bool(left)
    assert openings(site) == []
    is_all_named(site)
    ended = {one["id"]: (one["outcome"], one["closed_by"], one["reason"]) for one in site.info()["history"]}
    assert ended["request-1"][0] == "closed"
    assert step == 0 or ended["request-1"] == ("closed", "grace", "she left")


def test_what_the_kernel_refuses_is_not_in_the_book(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.lock()
    site.grant(id="request-1", requested_for="bob")
    real = nftables.Nftables.put
    refusals = ["no room"]

    def refuse(self: nftables.Nftables, text: str) -> None:
        if refusals:
            raise FirewallError(refusals.pop())
        real(self, text)

    monkeypatch.setattr(nftables.Nftables, "put", refuse)
    with pytest.raises(FirewallError, match=r"^no room$"):
        site.grant(id="request-2", sources=["10.99.0.3"])
    assert [one["id"] for one in site.info()["grants"]] == ["request-1"]
    assert openings(site) == ["10.99.0.2"]
    assert site.findings() == []
    load(site)
    assert openings(site) == ["10.99.0.2"]

    # Taken, and not there.
    taken = [True]
    monkeypatch.setattr(
        nftables.Nftables, "put", lambda self, text: None if taken and taken.pop() else real(self, text)
    )
    with pytest.raises(
        FirewallError, match="the kernel took the openings of table inet bulwark_jit, and does not have"
    ):
        site.grant(id="request-3", sources=["10.99.0.3"])
    assert [one["id"] for one in site.info()["grants"]] == ["request-1"]


def test_what_is_not_known_stays_in_the_book_and_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.lock()
    real = nftables.Nftables.put
    calls = [0]

    def lost(self: nftables.Nftables, text: str) -> None:
        calls[0] += 1
        if calls[0] == 1:
            real(self, text)
        raise FirewallError("nft did not end in time")

    with monkeypatch.context() as patch:
        patch.setattr(nftables.Nftables, "put", lost)
        with pytest.raises(
            HostError, match=r"it is not known whether request-1 is open.* close it with state=closed and id"
        ):
            site.grant(id="request-1")
    assert openings(site) == ["10.99.0.2"]
    assert [(one["id"], one["in_kernel"]) for one in site.info()["grants"]] == [("request-1", True)]
    assert site.grant(state="closed", id="request-1")["changed"]
    assert openings(site) == []

    def full(*_given: t.Any) -> None:
        raise StateError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(state, "write_book", full)
        with pytest.raises(StateError, match="no space left"):
            site.grant(id="request-2")
    assert openings(site) == []


def test_a_history_of_grants_with_many_sources_can_be_read_again(site: Site) -> None:
    site.lock()
    site.grant(id="request-0", sources=[f"10.{first}.{second}.0/25" for first in range(20) for second in range(250)])
    site.grant(state="closed", id="request-0")
    with state.directory({"state_dir": str(site.state)}, create=False) as where:
        assert where is not None
        book = state.read_book(where, clock.now())
        many = tuple({**book.history[0], "id": f"request-{number}"} for number in range(400))
        state.write_book(where, dataclasses.replace(book, history=many))
    assert site.grant(id="request-400")["changed"]
    assert (site.state / "jit" / "grants.json").stat().st_size < 1 << 24
    ended = [one["id"] for one in site.info(history=1000)["history"]]
    assert ended == [f"request-{number}" for number in range(399, 399 - len(ended), -1)]
    assert len(ended) > 50


@pytest.mark.parametrize("disk", ["full", "read-only"])
def test_a_grant_is_closed_where_nothing_can_be_noted(site: Site, disk: str) -> None:
    site.state.mkdir(mode=0o700)
    _mount("-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(site.state))
    try:
        site.lock()
        site.grant(id="request-1")
        site.grant(id="request-2", sources=["10.99.0.3"], requested_for="bob")
        if disk == "full":
            filler = site.state / "filler"
            with pytest.raises(OSError, match="No space left"):
                filler.write_bytes(bytes(1 << 17))
            error = "no space left to write .*: free some space"
        else:
            _mount("-o", "remount,ro", str(site.state))
            error = "cannot be used: Read-only file system"
        message = f"^request-1 is closed in the kernel, but .* not be saved: .*{error}.*so close it again then$"
        with pytest.raises(StateError, match=message):
            site.grant(state="closed", id="request-1")
        assert openings(site) == ["10.99.0.3"]
        shown = {one["id"]: one["in_kernel"] for one in site.info()["grants"]}
        assert shown == {"request-1": False, "request-2": True}
        if disk == "full":
            load(site)
            assert openings(site) == []
            filler.unlink()
        else:
            _mount("-o", "remount,rw", str(site.state))
        assert [one["id"] for one in site.grant(state="closed", id="request-1")["closed"]] == ["request-1"]
        assert openings(site) == ["10.99.0.3"]
        assert site.findings() == []
    finally:
        subprocess.run(["umount", str(site.state)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ports": ["8000"]}, "id: 'request-1' is open with ports 22, and not with 8000"),
        ({"ports": ["22", "8000"]}, "id: 'request-1' is open with ports 22, and not with 22, 8000"),
        ({"ports": ["8000"], "protocol": "both"}, "id: 'request-1' is open with ports 22, and not with 8000"),
        ({"sources": ["10.99.0.3"]}, "id: 'request-1' is open with sources 10.99.0.2, and not with 10.99.0.3"),
        ({"sources": ["10.99.0.0/30"]}, "id: 'request-1' is open with sources 10.99.0.2, and not with 10.99.0.0/30"),
        ({"requested_for": "bob"}, "id: 'request-1' is open with requested_for ada, and not with bob"),
        ({"duration": 601}, "id: 'request-1' is open for 600 seconds, and not for 601"),
        ({"digest": "b" * 64}, f"id: 'request-1' is open with digest {'a' * 64}, and not with {'b' * 64}"),
    ],
)
def test_the_same_id_for_something_else_is_refused(site: Site, changes: dict[str, t.Any], message: str) -> None:
    site.lock()
    site.grant(id="request-1", duration=600, digest="a" * 64)
    before = site.way.rules()
    for check in (True, False):
        answer = site.grant(check=check, id="request-1", **changes)
        assert (answer["failed"], answer["refused"]) == (True, True)
        assert answer["msg"] == f"{message}; close it first, or use another id"
    assert site.way.rules() == before
    for same in ({}, {"duration": 300}, {"duration": 600, "digest": "a" * 64}):
        assert not site.grant(id="request-1", **same)["changed"]


def test_the_protocol_under_an_id_is_not_changed(site: Site) -> None:
    site.lock()
    site.grant(id="request-1", ports=["8000"])
    assert (
        "is open with protocol tcp, and not with both"
        in site.grant(id="request-1", ports=["8000"], protocol="both")["msg"]
    )


@pytest.mark.parametrize(
    "sources",
    [["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["10.0.0.0/7"], ["2000::/3"], ["10.0.0.0/8", "12.0.0.0/8"]],
)
def test_everybody_is_let_in_only_where_the_policy_says_so(site: Site, sources: list[str]) -> None:
    site.lock(ports=[{"port": "22"}])
    for check in (True, False):
        answer = site.grant(check=check, sources=sources)
        assert (answer["failed"], answer["refused"]) == (True, True)
        assert "the policy does not limit the sources of port 22; request fewer, or name them in" in answer["msg"]
    assert site.info()["grants"] == []
    for enough in (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], ["2001::/16"]):
        assert site.grant(check=True, sources=enough)["changed"]
    assert site.access(ports=[{"port": "22", "sources": ["0.0.0.0/0", "::/0"]}])["changed"]
    assert site.info()["policy"]["ports"][0]["sources"] == ["0.0.0.0/0", "::/0"]
    assert site.grant(sources=sources)["changed"]


def test_who_asked_and_who_closed_is_kept_on_the_host(site: Site) -> None:
    site.lock()
    digest = "0123456789abcdef" * 4
    given = {"id": "request-1", "requested_by": "bob", "reason": "a ticket", "digest": digest}
    assert site.grant(**given)["grant"]["digest"] == digest
    (one,) = site.info()["grants"]
    assert {name: one[name] for name in ("id", "requested_by", "requested_for", "digest", "in_kernel")} == {
        "id": "request-1",
        "requested_by": "bob",
        "requested_for": "ada",
        "digest": digest,
        "in_kernel": True,
    }
    site.grant(state="closed", id="request-1", closed_by="grace", reason="she left")
    site.grant(id="request-2")
    site.grant(state="closed", id="request-2")
    latest, before = site.info()["history"]
    names = ("id", "outcome", "closed_by", "reason", "opened_reason", "digest")
    assert [before[name] for name in names] == ["request-1", "closed", "grace", "she left", "a ticket", digest]
    assert [latest[name] for name in names] == ["request-2", "closed", None, "a ticket", "a ticket", None]
    with pytest.raises(UsageError, match="digest is not a SHA-256"):
        site.grant(digest="xyz")


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("add element inet bulwark_jit grants4 { 10.99.0.3 . tcp . 22 }", "tcp port 22 for 10.99.0.3, without an end"),
        (
            "add element inet bulwark_jit grants6 { fd99::/64 . tcp . 8000-8010 timeout 1h }",
            "tcp port 8000-8010 for fd99::",
        ),
    ],
)
def test_what_is_open_and_nobody_was_granted_is_named(site: Site, command: str, shown: str) -> None:
    site.lock()
    site.grant(sources=["10.99.0.2", "fd99::2"])
    site.nft(*command.split(" "))
    (found,) = site.info()["detections"]
    assert shown in found["message"]
    (named,) = found["evidences"][0]["data"]["open"]
    assert named["shown"] in found["message"]
    assert named["seconds_left"] is None or 3590 < named["seconds_left"] <= 3600
    site.access()
    assert site.findings() == []


def test_what_is_closed_in_the_kernel_is_said_of_each_grant(site: Site) -> None:
    site.lock()
    site.grant(id="request-1")
    site.grant(id="request-2", sources=["10.99.0.3"], requested_for="bob")
    site.nft("delete", "element", "inet", "bulwark_jit", "grants4", "{ 10.99.0.2 . tcp . 22 }")
    assert {one["id"]: one["in_kernel"] for one in site.info()["grants"]} == {"request-1": False, "request-2": True}
