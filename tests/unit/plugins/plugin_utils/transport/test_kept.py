# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps is used if it is what the controller knows, and nothing else is ever run."""

from __future__ import annotations

import hashlib
import marshal
import os
import pathlib
import stat
import subprocess
import tempfile
import typing as t

import pytest

from tests.support import commands
from tests.support.host_scan import LocalRun
from tests.unit.plugins.plugin_utils.transport.hosts import Host, look

_TEXT = "packed rules " * 100


def _ask(host: Host, **options: t.Any) -> dict[str, t.Any]:
    """Ask with a text, and return the result of the look that has it."""
    return host.ask(look("fine", content={"rules": _TEXT}), **options).looks["fine"]


def _foreign(marker: pathlib.Path, host: Host) -> bytes:
    """Return compiled code of the form that is kept, which leaves a mark wherever it runs."""
    return _with_all_code(host, f"open({str(marker)!r}, 'w')")


def _with_all_code(host: Host, source: str) -> bytes:
    """Return compiled code in which each module is that source."""
    modules = marshal.loads(host.files("code")[0].read_bytes())  # noqa: S302 - this test had it made
    code = marshal.dumps(compile(source, "foreign", "exec"))
    return marshal.dumps({name: (is_package, code) for name, (is_package, _code) in modules.items()})


def _change(path: pathlib.Path, data: bytes) -> None:
    path.write_bytes(data)


def _link(path: pathlib.Path, data: bytes) -> None:
    other = path.parent.parent / "other"
    other.write_bytes(data)
    path.unlink()
    path.symlink_to(other)


def _link_itself(path: pathlib.Path, _data: bytes) -> None:
    """The content is right, but another name leads to it."""
    os.link(path, path.parent.parent / "other")


def _give_away(path: pathlib.Path, _data: bytes) -> None:
    os.chown(path, 65534, 65534)


def _open_up(path: pathlib.Path, _data: bytes) -> None:
    path.chmod(0o666)


def _replace_by_fifo(path: pathlib.Path, _data: bytes) -> None:
    path.unlink()
    os.mkfifo(path)


def _replace_by_directory(path: pathlib.Path, data: bytes) -> None:
    path.unlink()
    path.mkdir()
    (path / "inner").write_bytes(data)


_TAMPERING = {
    _change: "another content",
    _link: "not a regular file",
    _link_itself: "another name",
    _give_away: "belongs to user 65534",
    _open_up: "written by others",
    _replace_by_fifo: "not a regular file",
    _replace_by_directory: "not a regular file",
}


def test_the_second_question_brings_neither_code_nor_texts(host: Host) -> None:
    first, second = _ask(host), _ask(host)

    assert first["params"] == second["params"] == {"rules": _TEXT}
    assert len(host.run.sent) == 2
    assert len(host.run.sent[1]) < len(host.run.sent[0]) - len(_TEXT) // 20
    assert "_code" not in host.run.sent[1].partition('_ARGUMENTS = r"""')[2].partition("\n")[0]
    assert {stat.S_IMODE(path.lstat().st_mode) for path in host.kept.iterdir()} == {0o600}
    assert stat.S_IMODE(host.kept.stat().st_mode) == 0o700


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("tamper", "prefix"), [*((each, "code") for each in _TAMPERING), (_change, "text"), (_replace_by_fifo, "text")]
)
def test_a_file_that_somebody_changed_is_reported_and_not_used(
    host: Host, tmp_path: pathlib.Path, tamper: t.Callable[[pathlib.Path, bytes], None], prefix: str
) -> None:
    marker = tmp_path / "ran"
    _ask(host)
    (path,) = host.files(prefix)
    tamper(path, _foreign(marker, host) if prefix == "code" else b"other rules")

    answers = host.ask(look("fine", content={"rules": _TEXT}))

    assert answers.looks["fine"]["params"] == {"rules": _TEXT}
    assert not marker.exists()
    assert len(host.run.sent) == 3
    ((subject, reason),) = answers.tampered
    assert (subject, _TAMPERING[tamper] in reason) == (str(path), True)
    # Reported once: the right one has taken its place, or lies beside it.
    assert list(answers.notes) == []
    assert not host.ask(look("fine", content={"rules": _TEXT})).tampered


@pytest.mark.requires("root")
@pytest.mark.parametrize(
    ("name", "tamper"),
    [
        ("state", "link"),
        ("state", "give away"),
        ("state/scan", "link"),
        ("state/scan", "give away"),
        ("state/scan", "open up"),
    ],
)
def test_a_directory_that_others_could_exchange_is_not_used(
    host: Host, tmp_path: pathlib.Path, name: str, tamper: str
) -> None:
    marker = tmp_path / "ran"
    _ask(host)
    (path,) = host.files("code")
    path.write_bytes(_foreign(marker, host))
    directory = tmp_path / name
    if tamper == "link":
        directory.rename(tmp_path / "moved")
        directory.symlink_to(tmp_path / "moved")
    elif tamper == "give away":
        os.chown(directory, 65534, 65534)
    else:
        directory.chmod(0o777)

    answers = host.ask(look("fine", content={"rules": _TEXT}))

    assert answers.looks["fine"]["params"] == {"rules": _TEXT}
    assert not marker.exists()
    assert [tampered.subject for tampered in answers.tampered] == [str(directory)]
    assert len(answers.notes) == 1
    assert str(directory) in answers.notes[0]


def test_a_file_that_is_missing_is_sent_without_a_finding(host: Host) -> None:
    _ask(host)
    for path in host.kept.iterdir():
        path.unlink()

    answers = host.ask(look("fine", content={"rules": _TEXT}))

    assert "failed" not in answers.looks["fine"]
    assert (len(host.run.sent), list(answers.tampered)) == (3, [])
    _ask(host)
    assert len(host.run.sent) == 4


@pytest.mark.requires("python:3.8")
def test_another_python_gets_code_of_its_own(host: Host) -> None:
    _ask(host)
    other = LocalRun(commands.python("3.8") or "")

    for run, exchanges in ((other, 2), (other, 3), (host.run, 2)):
        answers = host.ask(look("fine"), run=run)

        assert "failed" not in answers.looks["fine"]
        assert (len(run.sent), list(answers.tampered)) == (exchanges, [])
    assert len(host.files("code")) == 2


def test_kept_code_that_crashes_the_interpreter_is_sent_anew(host: Host) -> None:
    """The digest is right: this is what a build of Python with the same marks would have to read."""
    _ask(host)
    digest = _keep(host, _with_all_code(host, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    host.pins = {name: digest if name.startswith("code/") else pin for name, pin in host.pins.items()}

    answers = host.ask(look("fine"))

    assert "failed" not in answers.looks["fine"]
    assert list(answers.tampered) == []
    assert list(answers.notes) == ["the cached code on the host could not be used: signal 11"]
    assert host.ask(look("fine")).notes == []


def _keep(host: Host, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    path = host.kept / f"code-{digest}"
    path.write_bytes(data)
    path.chmod(0o600)
    return digest


def test_where_nothing_can_be_kept_everything_travels(host: Host) -> None:
    host.state_dir = pathlib.Path("/proc/bulwark")

    for _ in range(2):
        answers = host.ask(look("fine", content={"rules": _TEXT}))

        assert answers.looks["fine"]["params"] == {"rules": _TEXT}
        assert "the host caches no code" in answers.notes[0]
        assert list(answers.tampered) == []
    assert len(host.run.sent) == 2


@pytest.mark.requires("root", "command:mount")
def test_a_full_file_system_keeps_nothing_and_stops_nothing(host: Host) -> None:
    host.state_dir.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", str(host.state_dir)], check=True)
    try:
        answers = host.ask(look("fine", content={"rules": _TEXT}))
    finally:
        subprocess.run(["umount", str(host.state_dir)], check=True)

    assert answers.looks["fine"]["params"] == {"rules": _TEXT}
    assert "No space left" in answers.notes[0]
    assert answers.pins == {}


def test_nothing_is_kept_if_nobody_wants_it(host: Host) -> None:
    _ask(host, keep=False)

    assert (host.state_dir.exists(), host.pins) == (False, {})


@pytest.fixture
def home() -> t.Iterator[pathlib.Path]:
    """Return the home directory of an account, which it can reach."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as outer:
        pathlib.Path(outer).chmod(0o755)
        path = pathlib.Path(outer) / "home"
        path.mkdir()
        os.chown(path, 65534, 65534)
        yield path


@pytest.mark.requires("root", "command:setpriv", "command:python3")
def test_an_account_keeps_its_own_and_root_reads_nothing_of_it(host: Host, home: pathlib.Path) -> None:
    account = LocalRun("/usr/bin/python3", account=65534, HOME=str(home))
    state = home / ".local/state/bulwark"

    for exchanges in (1, 2):
        answers = host.ask(look("fine"), run=account, state_dir=None)

        assert "failed" not in answers.looks["fine"]
        assert (len(account.sent), list(answers.notes), list(answers.tampered)) == (exchanges, [], [])
    (path,) = (state / "scan").glob("code-*")
    assert path.stat().st_uid == 65534

    answers = host.ask(look("fine"), run=LocalRun("/usr/bin/python3"), state_dir=str(state))

    assert "failed" not in answers.looks["fine"]
    assert str(home) in answers.notes[0]
    assert "belongs to user 65534" in answers.notes[0]
    assert list(answers.tampered) == []


def test_old_code_and_texts_are_removed(host: Host) -> None:
    _ask(host)
    for number in range(30):
        for prefix in ("code", "text", "answers"):
            path = host.kept / f"{prefix}-{number:064x}"
            path.touch()
            os.utime(path, (number, number))

    answers = host.ask(look("fine", content={"rules": _TEXT}))

    assert "failed" not in answers.looks["fine"]
    assert (len(host.files("code")), len(host.files("text")), len(host.files("answers"))) == (4, 16, 1)
    assert len(host.run.sent) == 2
