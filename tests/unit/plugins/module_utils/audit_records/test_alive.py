# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a log is written now, as far as it does not take a real daemon: for that see test_audit_alive.py."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import threading
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import liveness
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import alive


class Kernel:
    """An audit system whose records come to a file. written: a function that takes the text of each."""

    def __init__(self, written: t.Callable[[str], None], pid: int = 0, enabled: int = 1) -> None:
        self._written = written
        self._status = types.SimpleNamespace(pid=pid or os.getpid(), enabled=enabled)

    def status(self) -> types.SimpleNamespace:
        return self._status

    def record(self, text: str) -> None:
        self._written(text)


@pytest.fixture
def log(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "audit.log"
    path.write_text("type=USER msg=audit(1.000:1): x\n")
    return path


def connect(monkeypatch: pytest.MonkeyPatch, kernel: Kernel | Exception) -> None:
    @contextlib.contextmanager
    def connected() -> t.Iterator[Kernel]:
        if isinstance(kernel, Exception):
            raise kernel
        yield kernel

    monkeypatch.setattr(alive.netlink, "connected", connected)
    monkeypatch.setattr(alive, "SECONDS", 0.1)
    monkeypatch.setattr(alive, "_DAEMONS", (os.path.realpath(sys.executable),))


def appended(path: pathlib.Path) -> t.Callable[[str], None]:
    def append(text: str) -> None:
        with path.open("a") as stream:
            stream.write(f"node=x type=USER msg=audit(2.000:2): pid=1 msg='{text}'\n")

    return append


@pytest.mark.parametrize("is_expected", [True, False])
def test_without_an_answer_of_the_kernel_it_is_not_known(
    is_expected: bool, log: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = alive.netlink.KernelError(1)
    for error, words in ((HostError("This is a container."), "This is a container"), (refused, str(refused))):
        connect(monkeypatch, error)
        proof = alive.prove([str(log)], is_expected)
        assert (proof.live, proof.alive) == (is_expected, False)
        assert str(proof.reason).startswith("it is not known whether it is written now: ")
        assert words in str(proof.reason)


def test_a_record_that_comes_proves_it(log: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, Kernel(appended(log)))
    other = log.with_name("other.log")
    other.write_text("x")
    assert alive.prove([str(other), str(log)], True) == alive.Proof(True, None, str(log))


def test_a_record_comes_also_while_the_log_is_rotated(log: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rotate(text: str) -> None:
        log.rename(log.with_name("audit.log.1"))
        appended(log)(text)

    connect(monkeypatch, Kernel(rotate))
    assert alive.prove([str(log)], True).alive


def test_a_record_comes_also_when_there_is_no_log_yet(log: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The daemon has renamed the old file, and creates the new one next.
    log.rename(log.with_name("audit.log.1"))
    connect(monkeypatch, Kernel(appended(log)))
    assert alive.prove([str(log)], True) == alive.Proof(True, None, str(log))


def test_a_daemon_that_rotates_its_log_has_it_open_soon(log: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.rename(log.with_name("audit.log.1"))
    connect(monkeypatch, Kernel(appended(log)))
    monkeypatch.setattr(alive, "SECONDS_TO_ROTATE", 60.0)
    opened: list[t.IO[str]] = []
    timer = threading.Timer(0.1, lambda: opened.append(log.open("a")))
    timer.start()
    try:
        assert alive.prove([str(log)], False) == alive.Proof(True, None, str(log))
    finally:
        timer.join()
        for stream in opened:
            stream.close()


def test_an_old_record_of_a_scan_proves_nothing(log: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    connect(monkeypatch, Kernel(lambda text: (texts.append(text), appended(log)(text))[1]))
    assert alive.prove([str(log)], True).alive
    # Somebody writes what an earlier scan made again and again.
    connect(monkeypatch, Kernel(lambda _text: appended(log)(texts[0])))
    assert not alive.prove([str(log)], True).alive


def test_a_log_that_the_daemon_has_open_is_expected_to_be_written(
    log: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, Kernel(lambda _text: None))
    assert alive.prove([str(log)], False) == alive.Proof(False, None)
    with log.open("rb"):
        # Who only reads it does not make it that.
        assert not alive.prove([str(log)], False).live
    with log.open("ab"):
        proof = alive.prove([str(log)], False)
    assert proof.live
    assert "is far behind or has suspended logging, or a rule" in str(proof.reason)


def test_another_program_in_the_place_of_the_daemon_proves_nothing(
    log: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, Kernel(appended(log)))
    assert alive.prove([str(log)], True).alive
    # It hands on what a scan makes, and keeps the rest.
    monkeypatch.setattr(alive, "_DAEMONS", ("/usr/sbin/auditd",))
    proof = alive.prove([str(log)], True)
    assert not proof.alive
    assert os.path.realpath(sys.executable) in str(proof.reason)


def test_a_file_that_only_has_the_name_of_the_daemon_is_another(
    log: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a mount namespace of its own: the link has the name, and another file is there.
    connect(monkeypatch, Kernel(appended(log)))
    monkeypatch.setattr(alive, "_identity", lambda _path: (1, 1))
    assert not alive.prove([str(log)], True).alive


def test_the_log_of_sign_ins_is_not_alive_because_anybody_has_it_open(
    log: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, Kernel(appended(log)))
    status = log.stat()
    files = {(status.st_dev, status.st_ino)}
    assert not liveness.is_audited(files)
    with log.open("ab"):
        assert liveness.is_audited(files)
        monkeypatch.setattr(alive, "_DAEMONS", ())
        assert not liveness.is_audited(files)
        connect(monkeypatch, HostError("This is a container."))
        assert not liveness.is_audited(files)  # this process itself never counts
