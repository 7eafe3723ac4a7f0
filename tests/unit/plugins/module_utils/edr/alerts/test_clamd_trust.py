# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another account poses as clamd, to get files that root has opened, or names devices that root shall open."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import clamd_files, clamd_settings
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_socket import Clamd, ClamdError
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.collect import collect

from tests.support.edr_alerts import options
from tests.support.waiting import until

pytestmark = [pytest.mark.requires("root", "command:setpriv"), pytest.mark.xdist_group("clamd")]

_NOBODY = 65_534
_PYTHON = "/usr/bin/python3"
# Listens, takes a descriptor, and says in a file what is in it.
_LISTENER = """
import array, os, socket, sys
path, result = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path + ".new")
server.listen(5)
os.rename(path + ".new", path)
while True:
    connection = server.accept()[0]
    for _part in range(2):
        data, ancillary, _flags, _address = connection.recvmsg(100, 100)
        for _level, _kind, content in ancillary:
            numbers = array.array("i")
            numbers.frombytes(content)
            with open(result, "ab") as stream:
                stream.write(os.pread(numbers[0], 100, 0))
        if not data or ancillary:
            break
    try:
        connection.sendall(b"x: OK\\0")
    except OSError:
        pass
    connection.close()
"""
_CALLED_CLAMD = """
import ctypes, time
ctypes.CDLL(None).prctl(15, b"clamd", 0, 0, 0)
time.sleep(600)
"""


@pytest.fixture
def home() -> t.Iterator[pathlib.Path]:
    """Yield a directory of another account, which can reach it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulwark-other-"))
    os.chown(directory, _NOBODY, _NOBODY)
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@contextlib.contextmanager
def other(*arguments: str, **options: t.Any) -> t.Iterator[subprocess.Popen[bytes]]:
    """Run a program as another account."""
    command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.requires("command:su")
def test_an_account_that_poses_as_clamd_gets_no_file_of_root(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The command line of a set-uid program is a file of root with the content that its caller chose."""
    secret = tmp_path / "secret"
    secret.write_text("of root")
    path, log, result = home / "s", home / "log", home / "result"
    log.write_text(f"{time.strftime('%a %b %d %H:%M:%S %Y')} -> {secret}: Eicar FOUND\n", encoding="utf-8")
    configuration = f"\nLocalSocket {path}\nLogFile {log}\n"
    listener = other(_PYTHON, "-c", _LISTENER, str(path), str(result))
    with listener, other("su", "-c", configuration, stdin=subprocess.PIPE) as su:
        command_line = pathlib.Path(f"/proc/{su.pid}/cmdline")
        until(lambda: command_line.read_bytes().startswith(b"su\0"), 10)
        assert (command_line.stat().st_uid, stat.S_ISREG(command_line.stat().st_mode)) == (0, True)
        with other(_PYTHON, "-c", _CALLED_CLAMD, "-c", str(command_line)) as poser:
            until(lambda: pathlib.Path(f"/proc/{poser.pid}/comm").read_text() == "clamd\n", 10)
            until(path.exists, 10)
            settings = clamd_settings.read()
            collected = collect(options(tmp_path, products=["clamav"]), False)
    assert str(path) not in settings.sockets
    assert str(log) not in settings.logs
    assert not result.exists()
    assert collected["detections"] == []


def test_a_socket_of_another_account_gets_no_file(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The configuration that ClamAV ships as an example has its socket in /tmp."""
    path, result, file = home / "s", home / "result", tmp_path / "file"
    home.chmod(0o1777)
    os.chown(home, 0, 0)
    file.write_text("of root")
    with other(_PYTHON, "-c", _LISTENER, str(path), str(result)):
        until(path.exists, 10)
        with file.open("rb") as stream, pytest.raises(ClamdError, match="listens an account that is not clamd's"):
            Clamd(str(path), {0}).scan(stream.fileno())
        assert not result.exists()
        # The listener works: an account that is named gets the file.
        with file.open("rb") as stream:
            assert Clamd(str(path), {_NOBODY}).scan(stream.fileno()) is None
        until(result.exists, 10)
    assert result.read_text() == "of root"


def test_nothing_but_a_file_is_opened(tmp_path: pathlib.Path) -> None:
    """A fifo shows it: its writer goes on as soon as somebody opens it for reading, as a watchdog begins to count."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened = threading.Event()

    def write() -> None:
        with fifo.open("wb"):
            opened.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        assert clamd_files.examine(os.fsencode(fifo), None).status == clamd_files.UNKNOWN
        assert clamd_settings._lines(str(fifo)) == []
        assert not opened.wait(0.3)
    finally:
        with fifo.open("rb"):
            writer.join(10)
    assert opened.is_set()


class _Asked(Clamd):
    """Notes whether it was asked."""

    def __init__(self) -> None:
        super().__init__("/nowhere", {0})
        self.asked = 0

    def scan(self, descriptor: int) -> str | None:
        self.asked += 1
        return None


def test_what_only_root_may_read_is_shown_to_nobody(tmp_path: pathlib.Path) -> None:
    file, clamd = tmp_path / "file", _Asked()
    file.write_text("content")
    file.chmod(0o600)
    verdict = clamd_files.examine(os.fsencode(file), clamd)
    assert (verdict.status, verdict.size, clamd.asked) == (clamd_files.UNKNOWN, 7, 0)
    file.chmod(0o644)
    assert clamd_files.examine(os.fsencode(file), clamd).status == clamd_files.CLEAN
    assert clamd.asked == 1


def test_a_configuration_that_others_can_change_is_named_and_not_believed(
    home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = home / "clamd.conf"
    configuration.write_text(f"LogFile {home}/log\nLocalSocket {home}/s\n", encoding="utf-8")
    monkeypatch.setattr(clamd_settings, "_FILES", (str(configuration),))
    settings = clamd_settings.read()
    assert (f"{home}/log" in settings.logs, f"{home}/s" in settings.sockets) == (False, False)
    assert settings.problems == [
        (str(configuration), f"this configuration is not trusted, as nobody can change {home}")
    ]
