# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers to processes that were found: evidence is kept, and signals get to that process and no other."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import sys
import tarfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import apply, capture, options
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError

_PROGRAM = """
import mmap, sys, time
place = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
place.write(b"evidence" * 512)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture(name="process")
def _process_of_ours() -> t.Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def started(pid: int) -> int:
    found = _process.stat(pid)
    assert found is not None
    return found.started


def respond(pid: int, action: str, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
    params = {name: fields.get("default") for name, fields in options.apply_spec().items()}
    params.update({"pid": pid, "action": action, **given})
    if params["started"] is None:
        params["started"] = started(pid)
    return apply.apply(params, check_mode)


def state(pid: int) -> str:
    found = _process.stat(pid)
    return found.state if found is not None else "gone"


def test_a_process_is_stopped_continued_and_ended(process: subprocess.Popen[str]) -> None:
    pid = process.pid
    assert respond(pid, "stop", check_mode=True) == {
        "changed": True,
        "exists": True,
        "message": f"Process {pid} would be stopped.",
    }
    assert state(pid) in "RS"
    assert respond(pid, "stop")["changed"]
    assert state(pid) == "T"
    assert respond(pid, "stop") == {"changed": False, "exists": True, "message": f"Process {pid} is stopped already."}
    assert respond(pid, "continue")["changed"]
    assert not respond(pid, "continue")["changed"]
    assert respond(pid, "kill")["message"] == f"Process {pid} was ended."
    assert process.wait() == -9


def test_a_later_process_of_the_same_id_is_never_meant(process: subprocess.Popen[str], tmp_path: pathlib.Path) -> None:
    for action in ("stop", "kill", "capture"):
        began = started(process.pid)
        given = {"started": began - 1, "state_dir": str(tmp_path / "state")}
        result = respond(process.pid, action, **given)
        assert (result["changed"], result["exists"]) == (False, False)
        assert result["message"] == (
            f"Nothing was done: the process that has the id {process.pid} is another one; its 'started' is {began}, "
            f"not {began - 1}."
        )
    assert state(process.pid) in "RS"
    assert not _process.send(process.pid, started(process.pid) - 1, 9)


def test_a_process_that_has_ended_gets_nothing(process: subprocess.Popen[str]) -> None:
    began = started(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not respond(process.pid, "kill")["changed"]
    process.wait()
    result = respond(process.pid, "kill", started=began)
    assert not result["changed"]
    assert result["message"] == f"The process that had the id {process.pid} is gone; nothing was done."


@pytest.mark.parametrize("pid", [1, os.getpid(), os.getppid()], ids=["first", "own", "parent"])
def test_what_everything_depends_on_gets_no_signal(pid: int) -> None:
    for action in ("stop", "kill", "continue"):
        with pytest.raises(
            HostError, match=f"^Process {pid} is left alone: (ending it would stop the whole host|it carries this)"
        ):
            respond(pid, action, check_mode=True)


def test_parts_of_the_kernel_and_ssh_servers_get_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = _process.Stat("I", 2, 0x00208040, 5)
    assert apply.refusal(3, kernel) == "it is a part of the kernel"
    server = _process.Stat("S", 1, 0x400140, 900)
    monkeypatch.setattr(apply.os, "readlink", lambda _path: "/usr/sbin/sshd")
    assert str(apply.refusal(1 << 22, server)).startswith("it is an SSH server")
    # What is only called so is none.
    for path in ("/tmp/sshd", "/usr/sbin/sshd (deleted)", "/memfd:sshd (deleted)"):
        monkeypatch.setattr(apply.os, "readlink", lambda _path, path=path: path)
        assert apply.refusal(1 << 22, server) is None


def test_python_3_8_sends_signals_too(process: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_process.os, "pidfd_open")
    assert not _process.send(process.pid, started(process.pid) - 1, 9)
    assert _process.send(process.pid, started(process.pid), 9, wait=5)
    assert process.wait() == -9


@pytest.mark.requires("root")
def test_evidence_is_kept_for_root_alone(process: subprocess.Popen[str], tmp_path: pathlib.Path) -> None:
    place = tmp_path / "state"
    result = respond(process.pid, "capture", state_dir=str(place), dump=True)
    path = pathlib.Path(result["capture"]["path"])
    assert path.parent == place / "memory_scan"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with tarfile.open(path) as tar:
        content = {member.name: t.cast("t.IO[bytes]", tar.extractfile(member)).read() for member in tar}
    assert {file["name"]: file["size"] for file in result["capture"]["files"]} == {
        name: len(each) for name, each in content.items()
    }
    about = json.loads(content["process.json"])
    assert (about["pid"], about["started"]) == (process.pid, started(process.pid))
    assert any(file["path"] == os.path.realpath(sys.executable) for file in about["files"])
    assert any(each.startswith(b"evidence" * 512) for name, each in content.items() if name.startswith("memory/"))
    assert b"rwxp" in content["maps"]
    assert state(process.pid) in "RS"


@pytest.mark.requires("root")
def test_without_dump_no_memory_is_kept_and_old_evidence_goes(
    process: subprocess.Popen[str], tmp_path: pathlib.Path
) -> None:
    place = tmp_path / "state"
    paths = []
    for _each in range(3):
        kept = respond(process.pid, "capture", state_dir=str(place), max_captures=2)["capture"]
        assert [file["name"] for file in kept["files"]] == ["maps", "process.json"]
        paths.append(kept["path"])
    assert sorted(map(str, (place / "memory_scan").glob("*.tar"))) == paths[1:]
    result = respond(process.pid, "capture", state_dir=str(place), max_captures=2)
    removed = os.path.basename(paths[1])
    assert result["capture"]["removed"] == [removed]
    assert result["message"].endswith(f" As max_captures is 2, older evidence was removed: {removed}.")


@pytest.mark.requires("root")
def test_a_run_never_pushes_out_its_own_evidence(process: subprocess.Popen[str], tmp_path: pathlib.Path) -> None:
    given = {"state_dir": str(tmp_path / "state"), "max_captures": 3}
    for _each in range(3):
        respond(process.pid, "capture", **given, run="before")
    kept = [respond(process.pid, "capture", **given, run="now")["capture"] for _each in range(3)]
    assert [len(each["removed"]) for each in kept] == [1, 1, 1]
    with pytest.raises(
        HostError,
        match=r"has 3 captures of this run already, which are not removed for new ones; raise "
        r"max_captures\.$",
    ):
        respond(process.pid, "capture", **given, run="now")
    place = tmp_path / "state" / "memory_scan"
    assert sorted(map(str, place.glob("*.tar"))) == [each["path"] for each in kept]
    # A later run needs room for one only.
    (last,) = respond(process.pid, "capture", **given, run="later")["capture"]["removed"]
    assert str(place / last) == kept[0]["path"]


@pytest.mark.requires("root")
def test_a_process_that_becomes_another_while_it_is_read_is_not_gone(
    process: subprocess.Popen[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*_arguments: t.Any) -> t.Any:
        raise GoneError

    monkeypatch.setattr(capture, "_fill", changed)
    with pytest.raises(HostError, match=f"^Process {process.pid} started another program while it was read"):
        respond(process.pid, "capture", state_dir=str(tmp_path / "state"))
    assert list((tmp_path / "state" / "memory_scan").glob("*.tar")) == []


@pytest.mark.requires("root")
def test_evidence_is_bounded(process: subprocess.Popen[str], tmp_path: pathlib.Path) -> None:
    params = {"pid": process.pid, "started": started(process.pid), "dump": True, "max_captures": 5, "run": None}
    params["lock_timeout"] = 5
    result = capture.capture({**params, "state_dir": str(tmp_path / "state"), "max_dump": 0})
    assert result is not None
    assert [file["name"] for file in result["files"]] == ["maps", "process.json"]
    advice = r"free some, or lower max_dump \(memory_scan_max_dump of the role\)\.$"
    with pytest.raises(HostError, match=rf"^There is too little space in .*; {advice}"):
        capture.capture({**params, "state_dir": str(tmp_path / "state"), "max_dump": 1 << 30})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pid": 0}, "pid is 0; use 1 or more"),
        ({"started": -1}, "started is -1; use 0 or more"),
        ({"dump": True}, "dump: only action=capture keeps memory, not action=stop"),
        ({"state_dir": "x"}, "state_dir: 'x' is relative"),
        ({"run": "../x"}, "run: '../x' is not 1 to 64 letters, digits and hyphens"),
    ],
)
def test_what_cannot_be_is_named_in_one_sentence(given: dict[str, t.Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        respond(**{"pid": 4711, "started": 1, "action": "stop", **given})
