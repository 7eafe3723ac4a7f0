# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others did near an attack is not named, and no intruder can hide behind the reasons for that."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import (
    script_argument,
    session_names,
    sign_in_helpers,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.audit_history import SignIn
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.container_paths import (
    ContainerPaths,
    _pairs,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.graph import FactsGraph
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    Act,
    Contact,
    Process,
    Program,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.widen import Limits, widen

_DAY = 86_400.0
_NOW = 100 * _DAY


def _named(links: t.Sequence[Link], nodes: t.Sequence[Node], seed: str = "process:x") -> set[str]:
    return set(widen(FactsGraph([Facts(nodes, links)]), [seed], Limits()).nodes)


def _process(name: str, **facts: t.Any) -> Node:
    return Node(f"process:{name}", name, {"path": f"/usr/bin/{name}", **facts}, _NOW, _NOW)


@pytest.mark.parametrize(
    ("exe", "words", "script"),
    [
        ("/usr/bin/dash", "sh -e job.sh", "/srv/job.sh"),
        ("/usr/bin/dash", "sh /srv/../opt/x", "/opt/x"),
        ("/usr/bin/bash", "bash -o pipefail -eu x.sh now", "/srv/x.sh"),
        ("/usr/bin/bash", "bash -lc /opt/x", ""),
        ("/usr/bin/python3.13", "python3 -W ignore -u /opt/app.py", "/opt/app.py"),
        ("/usr/bin/python3.13", "python3 -m http.server", ""),
        ("/usr/bin/perl", "perl -e 1 /etc/passwd", ""),
        ("/usr/bin/curl", "curl /opt/x", ""),
        ("/usr/bin/dash", "sh", ""),
    ],
)
def test_a_script_is_what_an_interpreter_executes(exe: str, words: str, script: str) -> None:
    assert script_argument.find(exe.encode(), words.encode().split(), b"/srv") == script.encode()


def test_without_its_directory_a_relative_script_is_unknown() -> None:
    assert script_argument.find(b"/usr/bin/dash", [b"sh", b"job.sh"]) == b""


def _changed(by: str, relation: str, log: str, **facts: t.Any) -> tuple[list[Link], list[Node]]:
    """A startup that changed near the subject. by: who did that by the records of a log."""
    startup = Node("startup:/etc/x", "/etc/x", facts, _NOW, _NOW)
    links = [Link(startup.id, "process:x", "near", "startups", _NOW)]
    if by:
        links.append(Link(by, "file:/etc/x", relation, log, _NOW + 1))
    nodes = [_process("x"), startup, Node("file:/etc/x", "/etc/x", facts, _NOW, _NOW)]
    return links, [*nodes, _process("other"), Node("session:7", "7", {}, _NOW, _NOW)]


@pytest.mark.parametrize(
    ("by", "relation", "log", "is_named"),
    [
        ("", "", "", True),
        ("process:other", "wrote", "audit", False),
        ("process:x", "wrote", "audit", True),
        ("session:7", "mentions", "sudo, auth log", False),
        # A script names files that it does not change.
        ("session:7", "mentions", "content", True),
    ],
)
def test_a_change_near_in_time_is_named_unless_somebody_else_is_on_record(
    by: str, relation: str, log: str, is_named: bool
) -> None:
    assert ("startup:/etc/x" in _named(*_changed(by, relation, log))) is is_named


def test_what_is_left_out_for_that_is_said() -> None:
    links, nodes = _changed("process:other", "wrote", "audit")
    cuts = widen(FactsGraph([Facts(nodes, links)]), ["process:x"], Limits()).cuts
    assert [cut.text for cut in cuts] == [
        "1 files and startups that somebody else changed near in time are left out: /etc/x."
    ]


@pytest.mark.parametrize("is_connected", [False, True])
def test_an_account_that_was_signed_in_changed_its_own_files(is_connected: bool) -> None:
    links, nodes = _changed("", "", "", uid=1002)
    links.append(Link("session:7", "account:1002", "runs_as", "auth log", _NOW))
    nodes.append(Node("account:1002", "bob", {}))
    if is_connected:
        links.append(Link("process:x", "session:7", "belongs_to", "audit", _NOW))
    assert ("startup:/etc/x" in _named(links, nodes)) is is_connected


def test_a_key_that_was_there_before_the_change_leads_to_nobody() -> None:
    keys = Node("startup:/home/a/.ssh/authorized_keys", "keys", {"changed": _NOW}, _NOW - _DAY, _NOW)
    sessions = {"before": (-2 * _DAY, "old"), "again": (60.0, "old"), "touched": (-60.0, "new")}
    nodes = [_process("x"), keys]
    links = [Link(keys.id, "process:x", "near", "startups", _NOW)]
    for name, (time, key) in sessions.items():
        nodes.append(Node(f"session:{name}", name, {}, _NOW + time))
        links.append(Link(f"session:{name}", keys.id, "mentions", f"key {key}", _NOW + time))
    assert {each for each in _named(links, nodes) if each.startswith("session:")} == {"session:touched"}


@pytest.mark.parametrize(("changed", "is_named"), [(_NOW - 90 * _DAY, False), (_NOW - 60, True)])
def test_what_was_there_long_before_connects_nobody_but_its_own_process(changed: float, is_named: bool) -> None:
    shop = Node("file:/shop.cgi", "/shop.cgi", {"changed": changed}, changed, _NOW)
    shell = Node("file:/shell.cgi", "/shell.cgi", {"changed": _NOW}, _NOW, _NOW)
    links = [
        Link("process:x", shell.id, "executes", "audit"),
        Link("process:upload", shell.id, "wrote", "audit"),
        Link("process:upload", shop.id, "executes", "audit"),
        Link("process:customer", shop.id, "executes", "audit"),
        Link("address:192.0.2.9", shop.id, "requested", "access log"),
    ]
    nodes = [_process("x"), _process("upload"), _process("customer"), shop, shell, Node("address:192.0.2.9", "a")]
    named = _named(links, nodes)
    assert {"process:upload", shop.id} <= named
    assert ({"process:customer", "address:192.0.2.9"} <= named) is is_named
    # The subject's own program is followed, however old it is.
    own = [Link("process:x", shop.id, "executes", "audit"), Link("process:customer", shop.id, "executes", "audit")]
    assert "process:customer" in _named(own, nodes)


@pytest.mark.parametrize(
    ("listens", "script", "is_named"), [(True, "/cgi-bin/cart", False), (True, None, True), (False, "/job.sh", True)]
)
def test_a_script_that_a_server_started_was_for_somebody_else(
    listens: bool, script: str | None, is_named: bool
) -> None:
    links = [
        Link("process:server", "process:x", "started", "audit"),
        Link("process:server", "process:other", "started", "audit"),
    ]
    nodes = [_process("x"), _process("server"), _process("other", script=script)]
    if listens:
        links.append(Link("process:server", "listener:tcp/0.0.0.0:80", "listens", "proc"))
        nodes.append(Node("listener:tcp/0.0.0.0:80", "80"))
    assert ("process:other" in _named(links, nodes)) is is_named


def _family(program: bytes = b"/usr/bin/run-parts", user: int = 0) -> tuple[Process, Process]:
    """A server for sign-ins, and what it started for account 1001."""
    server = Process(10, 1, 5, 1001, 0, _NOW)
    server.add(Program(_NOW, b"/usr/lib/openssh/sshd-session", b"", b""))
    child = Process(11, 10, 5, 1001, user, _NOW)
    child.add(Program(_NOW, program, b"", b""))
    child.parent = server
    server.add(child)
    return server, child


def _is_packaged(path: bytes) -> bool:
    return path.startswith(b"/usr/")


def test_what_pam_runs_at_a_sign_in_is_a_helper() -> None:
    server, child = _family()
    below = Process(12, 11, 5, 1001, 0, _NOW)
    below.add(Program(_NOW, b"/usr/bin/uname", b"", b""))
    below.parent = child
    child.add(below)
    assert sign_in_helpers.is_helper(child, _is_packaged)
    assert sign_in_helpers.is_helper(below, _is_packaged)
    assert not sign_in_helpers.is_helper(server, _is_packaged)
    # The shell of the account itself is none.
    assert not sign_in_helpers.is_helper(_family(b"/usr/bin/bash", 1001)[1], _is_packaged)


@pytest.mark.parametrize("does", ["script", "write", "connect", "below"])
def test_a_program_that_an_intruder_put_there_is_no_helper(does: str) -> None:
    _server, child = _family()
    if does == "script":
        child.programs[0] = Program(_NOW, b"/usr/bin/dash", b"", b'argc=2 a0="sh" a1="/etc/pam.sh"')
    elif does == "write":
        child.add(Act(_NOW, "wrote", b"/etc/cron.d/x", "openat"))
    elif does == "connect":
        child.add(Contact(_NOW, "connected", "203.0.113.9", 443, "audit"))
    else:
        below = Process(12, 11, 5, 1001, 0, _NOW)
        below.add(Program(_NOW, b"/opt/x", b"", b""))
        below.parent = child
        child.add(below)
    assert not sign_in_helpers.is_helper(child, _is_packaged)


def test_what_a_container_wrote_has_the_path_of_the_host() -> None:
    own = _mountinfo.lines(
        b"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:2 / /srv rw - ext4 /dev/sda2 rw\n"
        b"22 20 0:5 / /proc rw - proc p rw\n"
    )
    inside = _mountinfo.lines(
        b"90 1 0:99 / / rw - overlay overlay rw\n91 90 8:1 /var/lib /data rw - ext4 /dev/sda1 rw\n"
        b"92 90 8:1 / /host rw - ext4 /dev/sda1 rw\n93 90 8:2 /www /host/srv/www rw - ext4 /dev/sda2 rw\n"
    )
    paths = ContainerPaths({"c": _pairs(own, inside)})
    process = Process(5, 4, None, None, 0, _NOW)
    # It ended, and the process that started it runs.
    process.parent = Process(4, 3, None, None, 0, _NOW)
    process.parent.live = t.cast("t.Any", _Live())

    assert paths.container(process) == "c"
    for path, expected in (
        (b"/host/etc/cron.d/x", b"/etc/cron.d/x"),
        (b"/host", b"/"),
        (b"/hosted", b"/hosted"),
        (b"/data/x", b"/var/lib/x"),
        (b"/host/srv/www/i.php", b"/srv/www/i.php"),
        (b"/etc/passwd", b"/etc/passwd"),
    ):
        assert paths.on_host(process, path) == expected


class _Live(t.NamedTuple):
    container: str = "c"


def test_a_container_is_its_engine_until_its_own_program_runs() -> None:
    process = Process(4, 3, None, None, 0, _NOW)
    process.live = t.cast("t.Any", _Live())
    for entry in (
        Act(_NOW + 1, "wrote", b"/dev/null", "mknodat"),
        Program(_NOW + 2, b"/usr/bin/dash", b"", b""),
        Act(_NOW + 3, "wrote", b"/host/etc/x", "openat"),
    ):
        process.add(entry)
    assert [act.path for act in ContainerPaths({}).own_acts(process)] == [b"/host/etc/x"]


def test_a_sign_in_of_two_logs_is_one_session() -> None:
    def session(identity: str, time: float) -> Node:
        return Node(f"session:{identity}", "s", {"user": "bob", "source": "203.0.113.7"}, time)

    sign_ins = [
        SignIn(_NOW + each, 40 + number, "bob", 1002, address, "/usr/sbin/sshd", "ssh")
        for number, (each, address) in enumerate(((0.1, "203.0.113.7"), (2.0, "203.0.113.7"), (0.0, "192.0.2.1")))
    ]
    first, second, far = (
        session("sshd 1 at 1", _NOW),
        session("sshd 2 at 2", _NOW + 2),
        session("sshd 3 at 9", _NOW + 60),
    )
    facts = Facts(
        [first, second, far],
        [Link(first.id, "startup:/k", "mentions", "key", _NOW)],
        [Event(_NOW, "auth log", "bob signed in", (second.id,))],
    )
    named = session_names.with_numbers(facts, sign_ins)

    assert [node.id for node in named.nodes] == ["session:40", "session:41", far.id]
    assert named.links[0].source == "session:40"
    assert list(named.events[0].nodes) == ["session:41"]
