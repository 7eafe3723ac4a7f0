# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who started a container, by records as auditd writes them."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import starters

_CREATED = 1_780_000_000.0
_ID = "ab" * 32


def _log(
    *words: str, time: float = _CREATED - 2, auid: int = 1000, exe: str = "/usr/bin/docker", serial: int = 7
) -> str:
    arguments = " ".join(
        f'a{number}="{word}"' if word.isprintable() and " " not in word else f"a{number}={word.encode().hex().upper()}"
        for number, word in enumerate(words)
    )
    stamp = f"msg=audit({time:.3f}:{serial})"
    return (
        f"type=SYSCALL {stamp}: arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=2 auid={auid} uid=0 gid=0 ses=3 "
        f'comm="docker" exe="{exe}" subj=unconfined key="exec"\n'
        f"type=EXECVE {stamp}: argc={len(words)} {arguments}\n"
        f'type=CWD {stamp}: cwd="/root"\n'
    )


def _starter(*logs: str, **changes: t.Any) -> str | None:
    container = {"id": _ID, "name": "web", "image": "shop:2", "created": _CREATED, **changes}
    known = starters.commands("".join(logs).encode())
    return starters.starter(container, known, lambda uid: {1000: "alice", 1001: "bob"}.get(uid, str(uid)))


@pytest.mark.parametrize(
    "words",
    [
        ("docker", "run", "-d", "--name", "web", "other:1"),
        ("docker", "run", "-d", "shop:2"),
        ("docker", "create", "shop:2", "sh", "-c", "sleep 5"),
        ("docker", "start", "web"),
        ("docker", "start", _ID[:12]),
    ],
)
def test_a_command_that_names_the_container_or_its_image_is_its_starters(words: tuple[str, ...]) -> None:
    assert _starter(_log(*words)) == "alice"
    assert _starter(f"node=web1 {_log(*words)}".replace("\ntype=EXECVE", "\nnode=web1 type=EXECVE")) == "alice"


@pytest.mark.parametrize(
    "log",
    [
        _log("docker", "ps", "web"),
        _log("docker", "run", "another:1"),
        _log("docker", "run", "shop:2", time=_CREATED - 3600),
        _log("docker", "run", "shop:2", time=_CREATED + 60),
        _log("docker", "run", "shop:2", auid=4294967295),
        _log("docker", "run", "shop:2", exe="/usr/bin/dockers"),
        _log("docker", "run", "shop:2") + _log("docker", "run", "shop:2", auid=1001, serial=8),
        "type=SYSCALL msg=audit(",
        "",
    ],
)
def test_what_names_neither_or_is_of_several_says_nothing(log: str) -> None:
    assert _starter(log) is None
    assert _starter(_log("docker", "run", "shop:2"), created=None) is None


def test_a_name_is_printable() -> None:
    known = starters.commands(_log("docker", "run", "shop:2").encode())
    container = {"id": _ID, "name": "web", "image": "shop:2", "created": _CREATED}
    assert starters.starter(container, known, lambda _uid: "a\x1b[2J") == "a\\x1b[2J"


def test_only_a_plain_log_is_read_and_only_its_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, link, pipe = tmp_path / "audit.log", tmp_path / "link", tmp_path / "pipe"
    log.write_bytes(b"first\nlast\n")
    link.symlink_to(log)
    os.mkfifo(pipe)
    monkeypatch.setattr(starters, "_MOST", 5)
    assert starters.read_log(str(log)) == b"last\n"
    assert starters.read_log(str(link)) == starters.read_log(str(pipe)) == b""
    assert starters.read_log(str(tmp_path / "missing")) == starters.read_log(str(tmp_path)) == b""
