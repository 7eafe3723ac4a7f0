# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shells that a connection reaches over pipes and FIFOs: who stands for what is in between."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import origin
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import socket_pairs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process

from tests.unit.plugins.module_utils.memory_scan._processes import (
    FakeHost,
    FakeSurroundings,
    ProcessView,
    connection,
    graded,
    process,
    signs,
)

_HIGH = {("shell_on_connection", "technique", "high")}
_MEDIUM = {("piped_program_connected", "technique", "medium")}
_LOW = {("piped_program_connected", "technique", "low")}
_INFORMATIONAL = {("interpreter_from_pipe", "behavior", "informational")}
_FIFOS = {0: "/tmp/a.fifo", 1: "/tmp/b.fifo"}
_RELAY = {0: "/tmp/b.fifo (deleted)", 1: "/tmp/a.fifo (deleted)", 3: "socket:[9]"}
_PIPES = {0: "pipe:[1]", 1: "pipe:[2]"}
_ENDS = {0: "/dev/null", 5: "pipe:[1]", 6: "pipe:[2]", 7: "socket:[9]"}
_INIT = process("/usr/lib/systemd/systemd", pid=1, parent=0)
_MIDDLE = process("/usr/bin/dash", "sh", "-c", "true", pid=40)


def _shell(files: dict[int, str], *arguments: str, **others: object) -> Process:
    return process("/usr/bin/bash", *(arguments or ("bash",)), parent=40, files=files, **others)


@pytest.mark.parametrize(
    ("shell", "others", "expected"),
    [
        (_shell(_FIFOS), [process("/usr/bin/nc", files=_RELAY)], _HIGH),
        (_shell(_FIFOS), [process("/usr/lib/x/relay", files=_RELAY)], _HIGH),
        # Neither a file of that name nor a process that calls itself so is the daemon of a package.
        (_shell(_FIFOS), [process("/usr/local/sbin/sshd", files=_RELAY)], _HIGH),
        (_shell(_FIFOS), [process("/usr/lib/x/relay", name="sshd", files=_RELAY)], _HIGH),
        (_shell(_FIFOS), [process("/usr/sbin/sshd", files=_RELAY)], _INFORMATIONAL),
        # One way only, and a command that has its own words.
        (_shell({0: "/tmp/a.fifo", 1: "/dev/null"}), [process("/usr/bin/nc", files=_RELAY)], _MEDIUM),
        (_shell({0: "pipe:[7]", 1: "/tmp/b.fifo"}), [process("/usr/bin/nc", files=_RELAY)], _MEDIUM),
        (_shell({0: "/root/x.sh", 1: "/tmp/b.fifo"}), [process("/usr/bin/nc", files=_RELAY)], set()),
        (_shell(_FIFOS, "bash", "-c", "x"), [process("/usr/bin/nc", files=_RELAY)], _MEDIUM),
        (_shell(_FIFOS, "bash", "/root/x.sh"), [process("/usr/bin/nc", files=_RELAY)], set()),
        # Nobody is connected.
        (_shell(_FIFOS), [process("/usr/bin/cat", files={0: "/tmp/b.fifo", 1: "/tmp/a.fifo"})], _INFORMATIONAL),
        # A program that runs shells for itself, and one of that kind that only passes on.
        (_shell(_PIPES), [process("/usr/bin/agent", pid=40, files=_ENDS)], _INFORMATIONAL),
        (_shell(_PIPES), [process("/usr/bin/socat1", pid=40, files=_ENDS)], _HIGH),
        # What was started beside it and has inherited the other ends.
        (_shell(_PIPES), [process("/usr/bin/agent", files=_ENDS)], _INFORMATIONAL),
        # The runtime of a container that no package ships.
        (
            _shell(_FIFOS, container="a" * 64),
            [process("/var/lib/rancher/k3s/data/x/bin/containerd", files=_RELAY)],
            _LOW,
        ),
        (
            _shell(_FIFOS, container="a" * 64),
            [process("/usr/bin/nc", files=_RELAY, container="a" * 64)],
            _HIGH,
        ),
    ],
)
def test_a_shell_over_streams(shell: Process, others: list[Process], expected: set[tuple[str, str, str]]) -> None:
    around = [_INIT, *([] if any(one.pid == 40 for one in others) else [_MIDDLE])]
    sockets = {one.pid: [connection(9)] for one in others if any(file.target == b"socket:[9]" for file in one.files)}
    host = FakeHost([shell, *others, *around], FakeSurroundings(), sockets)
    assert graded(signs(shell, host)) == expected


def test_a_daemon_of_a_package_that_was_replaced_explains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shell, daemon = _shell(_FIFOS), process("/usr/sbin/sshd", files=_RELAY)
    host = FakeHost([shell, daemon, _INIT, _MIDDLE], FakeSurroundings(), {daemon.pid: [connection(9)]})
    monkeypatch.setattr(host.around, "is_as_packaged", lambda *_: False)
    assert graded(signs(shell, host)) == _HIGH


@pytest.mark.parametrize(
    ("told", "connections", "expected"),
    [
        (
            False,
            [],
            ["it is not known what its input is connected to: the kernel does not report the peers of sockets"],
        ),
        (False, [connection(5)], []),
        (True, [], []),
    ],
)
def test_a_pair_of_sockets_that_nobody_tells_of_is_in_the_coverage(
    told: bool, connections: list[Socket], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_pairs, "halves", lambda *_: ({}, told))
    shell = _shell({0: "socket:[5]", 1: "/dev/null"})
    view = ProcessView(shell)
    list(origin.check(view, FakeHost([shell, _INIT, _MIDDLE], FakeSurroundings(), {shell.pid: connections})))
    assert view.skipped == expected


@pytest.mark.parametrize(("idle", "skipped"), [(10, 0), (250, 1)])
def test_streams_of_too_many_processes_are_in_the_coverage(idle: int, skipped: int) -> None:
    """Have many that do nothing hold what a filter before the connection writes."""
    shell = _shell({0: "/tmp/a.fifo", 1: "/dev/null"})
    holders = [process("/usr/bin/sleep", files={1: "/tmp/a.fifo"}) for _number in range(idle)]
    relay = process("/usr/bin/nc", files={1: "/tmp/c.fifo", 3: "socket:[9]"})
    through = process("/usr/bin/cat", files={0: "/tmp/c.fifo", 1: "/tmp/a.fifo"})
    everything = [shell, *holders, through, relay, _INIT, _MIDDLE]
    view = ProcessView(shell)
    found = origin.check(view, FakeHost(everything, FakeSurroundings(), {relay.pid: [connection(9)]}))
    assert graded(found) == (_INFORMATIONAL if skipped else _MEDIUM)
    assert len(view.skipped) == skipped
