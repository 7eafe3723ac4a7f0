# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an engine offers its API."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import configuration, flags, listeners
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.accounts import Names
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.configuration import Written
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import ConfigFile, FileFact
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.listeners import Hosts
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.processes import Daemon
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.sockets import (
    Sockets,
    parse_tcp,
    parse_unix,
)

_DAEMON = Daemon(7, "/usr/bin/dockerd", (), 0, 1, 1.0, "/", None, {"LISTEN_PID": "7"}, "/", True, True)


def _found(
    tmp_path: pathlib.Path, sockets: Sockets, hosts: Hosts, command: str = "", tls: bool | None = None
) -> list[tuple[str, str, bool, bool]]:
    running = flags.parse(map(flags.Word, command.split()))
    settings = configuration.settings(running, Written(running, ConfigFile(FileFact("/x"))), None, {})
    root = Root(str(tmp_path), Names([], []))
    found = listeners.listeners(_DAEMON, sockets, hosts, settings, root, "/run/docker", lambda _place: tls)
    return [(one.address, one.source, one.has_tls, one.verifies_clients) for one in found]


@pytest.mark.parametrize(
    ("command", "has_tls", "verifies"),
    [("", False, False), ("--tls", True, False), ("--tlsverify", True, True), ("--tls=false", False, False)],
)
def test_what_listens_is_told_with_what_is_written_of_it(
    tmp_path: pathlib.Path, command: str, has_tls: bool, verifies: bool
) -> None:
    sockets = Sockets(
        (("/var/run/docker.sock",), ("/run/docker/metrics.sock",)),
        ("0.0.0.0:2376", "[::]:7946"),
    )
    assert _found(tmp_path, sockets, Hosts(("unix:///run/docker.sock", "tcp://:2376"), "flag"), command) == [
        ("unix:///run/docker.sock", "flag", False, False),
        ("tcp://0.0.0.0:2376", "flag", has_tls, verifies),
    ]


def test_what_systemd_passed_is_told_apart(tmp_path: pathlib.Path) -> None:
    assert _found(tmp_path, Sockets((("/run/docker.sock",),)), Hosts(("fd://",), "flag")) == [
        ("unix:///run/docker.sock", "systemd", False, False)
    ]


def test_what_answers_as_the_api_is_told_although_nothing_says_so(tmp_path: pathlib.Path) -> None:
    sockets = Sockets((("/odd.sock",),), ("10.0.0.1:4243",))
    written = Hosts(("unix:///run/docker.sock",), "default")
    assert _found(tmp_path, sockets, written, tls=False) == [
        ("tcp://10.0.0.1:4243", "kernel", False, False),
        ("unix:///odd.sock", "kernel", False, False),
    ]
    assert _found(tmp_path, sockets, written, tls=None) == [("unix:///odd.sock", "kernel", False, False)]


def test_of_two_paths_for_one_socket_the_one_that_is_written_counts(tmp_path: pathlib.Path) -> None:
    sockets = Sockets((("/evil.sock", "/run/docker.sock"),))
    for hosts in (Hosts(("unix:///run/docker.sock",), "default"), Hosts(("fd://",), "flag")):
        assert [address for address, *_rest in _found(tmp_path, sockets, hosts)] == ["unix:///run/docker.sock"]


def test_where_the_kernel_does_not_tell_what_is_written_counts(tmp_path: pathlib.Path) -> None:
    sockets = Sockets(problem="Permission denied")
    assert _found(tmp_path, sockets, Hosts(("unix:///run/docker.sock", "tcp://:2375"), "flag")) == [
        ("tcp://:2375", "flag", False, False),
        ("unix:///run/docker.sock", "flag", False, False),
    ]


@pytest.mark.parametrize("hosts", [Hosts(("fd://",), "flag"), Hosts(("unix:///a",), "file", is_certain=False)])
def test_where_that_is_not_all_nothing_is_known(tmp_path: pathlib.Path, hosts: Hosts) -> None:
    assert _found(tmp_path, Sockets(problem="Permission denied"), hosts) == []


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([], ["unix:///run/docker.sock"]),
        (None, ["unix:///run/docker.sock"]),
        (["unix://"], ["unix:///run/docker.sock"]),
        (["unix:///var/run/docker.sock"], ["unix:///run/docker.sock"]),
        (["0.0.0.0:2375", "fd://", 7], ["tcp://0.0.0.0:2375", "fd://"]),
    ],
)
def test_addresses_are_named_alike_however_they_are_written(hosts: t.Any, expected: list[str]) -> None:
    assert listeners.written(hosts, {}, False) == expected


def test_a_rootless_engine_listens_in_the_directory_of_its_account() -> None:
    assert listeners.written([], {"XDG_RUNTIME_DIR": "/run/user/7"}, True) == ["unix:///run/user/7/docker.sock"]


@pytest.mark.parametrize(
    ("place", "address", "matches"),
    [
        ("127.0.0.1:2375", "tcp://localhost:2375", True),
        ("127.0.0.1:2375", "tcp://127.0.0.1", True),
        ("[::]:2376", "tcp://0.0.0.0:2376", True),
        ("10.0.0.1:2376", "tcp://docker.example:2376", True),
        ("10.0.0.1:2376", "tcp://10.0.0.2:2376", False),
        ("[::1]:2376", "tcp://[::1]:2376", True),
        ("0.0.0.0:2377", "tcp://0.0.0.0:2376", False),
        ("0.0.0.0:2376", "unix:///0.0.0.0:2376", False),
    ],
)
def test_a_place_is_found_by_its_address(place: str, address: str, matches: bool) -> None:
    assert listeners._matches(place, address) == matches


def test_only_what_listens_is_taken_from_the_lists_of_the_kernel() -> None:
    unix = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 11 /run/docker.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 12 /run/docker.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 13 @abstract\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 x /a\nx\n"
        "0000000000000000: 00000002 00000000 zz 0001 01 14 /a\n"
    )
    assert list(parse_unix(unix)) == [(11, "/run/docker.sock")]
    tcp = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 21 1\n"
        "   1: 0100007F:0947 0100007F:1000 01 00000000:00000000 00:00000000 00000000  0 0 22 1\n"
        "   2: 00000000000000000000000000000000:0948 00000000000000000000000000000000:0000 0A 0:0 00:0 0  0 0 23 1\n"
    )
    assert list(parse_tcp(tcp)) == [(21, "127.0.0.1:2375"), (23, "[::]:2376")]
