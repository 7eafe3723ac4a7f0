# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a product: nothing of it can hang the look, flood it, or make it believe another process."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.edr import command_trust, health_sources
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import INTACT, Process, Seen

from tests.unit.plugins.module_utils.edr import products

pytestmark = pytest.mark.requires("root")


def ask(
    directory: pathlib.Path, timeout: float = 20.0, seen: Seen | None = None, budget: float = 60.0, **fields: t.Any
) -> health_sources.Answers:
    entry = products.described(directory, **fields)
    paths = [path for command in entry.commands for path in command.programs]
    programs = command_trust.verify(paths, lambda _path: False)
    return health_sources.ask(entry, seen or Seen(), programs, timeout, Deadline(budget))


def command(path: pathlib.Path, *arguments: str) -> dict[str, t.Any]:
    return {"version": {"programs": ["/nonexistent/ctl", str(path)], "arguments": list(arguments)}}


def test_a_command_gets_its_arguments_and_no_environment(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/tmp/evil.so")
    ctl = products.script(tmp_path / "ctl", 'echo "$1 [$LD_PRELOAD] $HOME"')
    assert ask(tmp_path, commands=command(ctl, "--version")).outputs == {"version": "--version [] /nonexistent\n"}


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: pathlib.Path) -> None:
    ctl = products.script(tmp_path / "ctl", f"sleep 300 & echo $! > {tmp_path}/child; sleep 300")
    start = time.monotonic()
    answers = ask(tmp_path, timeout=1.0, commands=command(ctl))
    assert time.monotonic() - start < 10
    assert answers.outputs == {}
    assert answers.problems == [f"its command failed: {ctl} did not end in time"]
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 10
    while time.monotonic() < end and os.path.exists(f"/proc/{child}/exe"):
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}/exe")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("yes | head -c 3000000", "wrote more than 1048576 bytes"),
        ("echo 'no rights' >&2; exit 3", "ended with status 3: no rights"),
        ("exit 0", "ended with status 0: it wrote nothing"),
    ],
)
def test_what_a_command_does_instead_is_named(tmp_path: pathlib.Path, text: str, problem: str) -> None:
    ctl = products.script(tmp_path / "ctl", text)
    answers = ask(tmp_path, commands=command(ctl))
    assert answers.outputs == {}
    assert len(answers.problems) == 1
    assert answers.problems[0].endswith(problem)


def test_an_untrusted_command_is_not_run(tmp_path: pathlib.Path) -> None:
    ctl = products.script(tmp_path / "ctl", f"touch {tmp_path}/was_run; echo ok", 0o777)
    answers = ask(tmp_path, commands=command(ctl))
    assert answers.problems == [f"its command {ctl} was not run, as everybody can change {ctl}"]
    assert not (tmp_path / "was_run").exists()


def test_a_command_that_is_gone_and_a_budget_that_is_used_up_are_named(tmp_path: pathlib.Path) -> None:
    assert ask(tmp_path, commands=command(tmp_path / "ctl")).problems == ["its command /nonexistent/ctl is not there"]
    ctl = products.script(tmp_path / "ctl", "echo ok")
    late = ask(tmp_path, budget=0.000001, commands=command(ctl))
    assert late.problems == ["version was not asked, as the time budget of 1e-06 s was used up"]


def test_a_state_file_counts_while_it_is_fresh_and_the_products_own(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "agent.state"
    files = {"state": {"paths": [str(tmp_path / "other"), str(path)], "fresh": 300}}
    assert ask(tmp_path, files=files) == health_sources.Answers({}, [])
    path.write_text("status='connected'\n")
    assert ask(tmp_path, files=files).outputs == {"state": "status='connected'\n"}
    path.chmod(0o666)
    assert ask(tmp_path, files=files).problems == [f"{path} is not trusted, as others than the product can write it"]
    path.chmod(0o644)
    os.chown(path, 65534, 0)
    assert ask(tmp_path, files=files).problems == [f"{path} is not trusted, as others than the product can write it"]
    assert ask(tmp_path, files=files, accounts=["nobody"]).outputs != {}
    os.utime(path, (time.time() - 3_600, time.time() - 3_600))
    (stale,) = ask(tmp_path, files=files, accounts=["nobody"]).problems
    assert stale == f"{path} was not written for 60 minutes, so the product may hang"
    path.unlink()
    os.mkfifo(path)
    assert ask(tmp_path, files=files).problems == [f"{path} is not a regular file"]


class Daemon:
    """A daemon in this process: it answers what it gets with one text, or never."""

    def __init__(self, path: pathlib.Path, response: bytes | None) -> None:
        self.response = response
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.got = b""
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.thread.join(10)
        self.listener.close()

    def _serve(self) -> None:
        connection, _address = self.listener.accept()
        # Who does not believe it hangs up.
        with connection, contextlib.suppress(ConnectionError):
            self.got = connection.recv(100)
            if self.response is None:
                connection.recv(1)
            else:
                connection.sendall(self.response)


@pytest.mark.parametrize("response", [b"ClamAV 1.4.6\0more", b"ClamAV 1.4.6"])
def test_a_daemon_is_queried_over_its_socket(tmp_path: pathlib.Path, response: bytes) -> None:
    path = tmp_path / "socket"
    queries = {"version": {"sockets": [str(path)], "send": "zVERSION\0"}}
    own = Seen(processes=[Process(os.getpid(), "/x", INTACT)])
    with Daemon(path, response) as daemon:
        assert ask(tmp_path, seen=own, queries=queries).outputs == {"version": "ClamAV 1.4.6"}
    assert daemon.got == b"zVERSION\0"


def test_another_process_on_the_socket_is_not_believed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "socket"
    queries = {"version": {"sockets": [str(path)], "send": "zVERSION\0"}}
    other = Seen(processes=[Process(1_000_000_000, "/x", INTACT)])
    with Daemon(path, b"ClamAV 1.4.6\0") as daemon:
        answers = ask(tmp_path, seen=other, queries=queries)
    assert answers.problems == [f"another process than its daemon listens on {path}"]
    assert daemon.got == b""
    # Nobody is asked where nothing runs: a socket of systemd would start the daemon.
    assert ask(tmp_path, seen=Seen(), queries=queries) == health_sources.Answers({}, [])


def test_a_daemon_that_does_not_respond_is_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "socket"
    own = Seen(processes=[Process(os.getpid(), "/x", INTACT)])
    with Daemon(path, None):
        answers = ask(tmp_path, 0.2, own, queries={"version": {"sockets": [str(path)], "send": "zVERSION\0"}})
    assert answers.problems == [f"it did not respond on {path} within 0.2 s"]
