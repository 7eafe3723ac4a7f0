# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known tools in real processes: Debian's miner under its own name, another one and none, and who only speaks of tools.

The miner computes its own benchmark, without a connection, and is ended as soon as it was looked at.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content, signatures

from tests.content.memory_scan.samples import SAMPLES
from tests.integration import _memory
from tests.integration._memory_techniques.bench import wait_for
from tests.support.waiting import until

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("memory")]

_MINER = "/usr/bin/xmrig"
_OPTIONS = ("--bench=250K", "--threads=1", "--no-color", "--no-huge-pages", "--randomx-wrmsr=-1", "--randomx-no-rdmsr")
# Makes a program of a file in memory, and becomes it.
_FROM_MEMORY = """
import os, sys
descriptor = os.memfd_create("cache", os.MFD_CLOEXEC)
with open(sys.argv[1], "rb") as program:
    while os.sendfile(descriptor, program.fileno(), None, 1 << 20):
        pass
os.execv("/proc/self/fd/%d" % descriptor, sys.argv[2:])
"""
_HOLD = """
import sys
held = [bytearray(open(path, "rb").read()) for path in sys.argv[1:]]
print("ready", flush=True)
sys.stdin.read()
"""
_PYTHON = "/usr/bin/python3"


class Processes:
    """Processes of a test, which are ended by their own ids."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, speaks: bool = False) -> int:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE if speaks else subprocess.DEVNULL, cwd="/"
        )
        self._started.append(process)
        if speaks:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        return process.pid

    def input_of(self, pid: int) -> t.IO[bytes]:
        stream = next(process.stdin for process in self._started if process.pid == pid)
        assert stream is not None
        return stream

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture
def processes() -> t.Iterator[Processes]:
    started = Processes()
    yield started
    started.end()


@pytest.fixture
def place() -> t.Iterator[pathlib.Path]:
    """Give a directory where an administrator puts programs."""
    with tempfile.TemporaryDirectory(prefix="bulwark-known-", dir="/usr/local/lib") as name:
        pathlib.Path(name).chmod(0o755)
        yield pathlib.Path(name)


def _wait(pid: int, resident: int) -> None:
    def has_it() -> bool:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGESIZE") >= resident

    until(has_it, f"process {pid} never had {resident >> 20} MiB", seconds=600)


def _only(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    (detection,) = result["detections"]
    return t.cast("dict[str, t.Any]", detection)


def _miner_sign(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    assert _only(result)["alert"] == "fileless_attack_toolkit"
    (sign,) = [one for one in _memory.signs(result) if one["class"] == "toolkit"]
    return sign


@pytest.mark.requires("command:xmrig")
def test_a_miner_under_its_own_name_is_found(processes: Processes) -> None:
    pid = processes.start(_MINER, *_OPTIONS)
    _wait(pid, 20 << 20)
    sign = _miner_sign(_memory.scan(pid))
    assert sign["subtype"] == "known_miner"
    assert {"xmrig", "randomx_miner"} <= set(sign["facts"]["signatures"])
    assert all(memory["path"] == _MINER and "offset" in memory for memory in sign["memory"])


@pytest.mark.requires("command:xmrig")
def test_a_miner_under_another_name_is_found(processes: Processes, place: pathlib.Path) -> None:
    program = place / "systemd-networkd"
    shutil.copy(_MINER, program)
    pid = processes.start(str(program), *_OPTIONS)
    _wait(pid, 20 << 20)
    sign = _miner_sign(_memory.scan(pid))
    assert "xmrig" in sign["facts"]["signatures"]
    assert sign["memory"][0]["path"] == str(program)


@pytest.mark.requires("command:xmrig")
def test_a_miner_without_its_words_is_found_by_what_it_computes(processes: Processes, place: pathlib.Path) -> None:
    data = pathlib.Path(_MINER).read_bytes()
    for word in (b"xmrig", b"XMRig", b"donate", b"max-threads", b"cn-heavy", b"mining."):
        data = data.replace(word, word[::-1])
    program = place / "cache"
    program.write_bytes(data)
    program.chmod(0o755)
    pid = processes.start(str(program), *_OPTIONS)
    _wait(pid, 20 << 20)
    sign = _miner_sign(_memory.scan(pid))
    assert "randomx_miner" in sign["facts"]["signatures"]
    assert "xmrig" not in sign["facts"]["signatures"]


@pytest.mark.requires("command:xmrig")
def test_a_miner_that_only_ever_was_in_memory_is_found(processes: Processes) -> None:
    pid = processes.start(_PYTHON, "-c", _FROM_MEMORY, _MINER, "nginx: worker process", *_OPTIONS)
    _wait(pid, 20 << 20)
    sign = _miner_sign(_memory.scan(pid))
    assert "xmrig" in sign["facts"]["signatures"]
    assert sign["memory"][0]["path"].startswith("/memfd:cache")


@pytest.mark.requires("command:xmrig")
def test_a_miner_of_which_nothing_is_known_is_told_by_its_memory(processes: Processes, place: pathlib.Path) -> None:
    program = place / "analysis"
    shutil.copy(_MINER, program)
    pid = processes.start(str(program), *_OPTIONS)
    _wait(pid, 2340 << 20)
    result = _memory.scan(pid, _content=content.load(own_signatures=False))
    sign = next(one for one in _memory.signs(result) if one["subtype"] == "mining_memory")
    assert sign["memory"][0]["entropy"] > 7.9


def test_what_memory_holds_of_a_tool_is_found_with_its_place(processes: Processes, tmp_path: pathlib.Path) -> None:
    sample = tmp_path / "sample"
    sample.write_bytes(bytes(300_000) + SAMPLES["sliver"])
    pid = processes.start(_PYTHON, "-c", _HOLD, str(sample), speaks=True)
    assert _memory.scan(pid)["detections"] == []
    result = _memory.scan(pid, full=True)
    assert _only(result)["alert"] == "fileless_attack_toolkit"
    (sign,) = _memory.signs(result)
    assert sign["facts"]["signatures"] == ["sliver"]
    for memory in sign["memory"]:
        start = int(memory["range"].split("-")[0], 16)
        with open(f"/proc/{pid}/mem", "rb") as stream:
            stream.seek(start + memory["offset"])
            assert stream.read(200).split(b"\0")[0][:9] in SAMPLES["sliver"]
    assert "sliverpb" not in str(sign)


@pytest.mark.parametrize(
    ("name", "subtype", "severity"),
    [("/usr/bin/sort", "tool_data_held", "informational"), ("sort", "known_remote_access", "critical")],
    ids=["a package's program", "a copy of it"],
)
def test_who_only_passes_on_what_a_tool_says_has_none(
    name: str, subtype: str, severity: str, processes: Processes, place: pathlib.Path
) -> None:
    """A program that all data pass through, as what containers say through the Docker daemon, can't run them."""
    program = place / name
    if not program.exists():
        shutil.copy("/usr/bin/sort", program)
    pid = processes.start(str(program), "-z", "--parallel=1")
    stream = processes.input_of(pid)
    stream.write(bytes(range(256)) * 1000 + SAMPLES["sliver"])
    stream.flush()
    wait_for(lambda: "State:\tS" in _status(pid) and _read(pid) > 200_000, "it to read its input")
    (sign,) = _memory.signs(_memory.scan(pid, full=True))
    assert (sign["subtype"], sign["severity"]) == (subtype, severity)


def _read(pid: int) -> int:
    lines = pathlib.Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return int(lines[0].split()[1])


def test_who_reads_rules_has_no_tool(processes: Processes) -> None:
    files = [str(file) for file in sorted(signatures.DIRECTORY.glob("*.yml"))]
    pids = [processes.start(_PYTHON, "-c", _HOLD, *files, speaks=True)]
    pids += [processes.start(_PYTHON, "-c", _HOLD, file, speaks=True) for file in files]
    assert _memory.scan(*pids, full=True)["detections"] == []


@pytest.mark.requires("command:yara")
def test_rules_of_the_user_are_used_and_nothing_is_stopped(processes: Processes, tmp_path: pathlib.Path) -> None:
    rules, held = tmp_path / "own.yar", tmp_path / "held"
    rules.write_text('rule our_word { strings: $word = "plugh-xyzzy-plover" condition: $word }')
    held.write_bytes(bytes(100_000) + b"plugh-xyzzy-plover")
    pid = processes.start(_PYTHON, "-c", _HOLD, str(held), speaks=True)
    wait_for(lambda: "State:\tS" in _status(pid), "it to wait for its input")
    before = _switches(pid)
    result = _memory.scan(pid, full=True, yara_rules=[str(rules)])
    # It has slept all the time: who attaches to a process wakes it.
    assert _switches(pid) == before
    (sign,) = _memory.signs(result)
    assert (sign["subtype"], sign["facts"]) == ("yara_match", {"rule": "our_word"})
    assert sign["memory"][0]["signature"] == "our_word: $word"


@pytest.mark.requires("command:yara")
def test_rules_that_are_wrong_are_in_the_coverage(processes: Processes, tmp_path: pathlib.Path) -> None:
    wrong = tmp_path / "wrong.yar"
    wrong.write_text("rule wrong { condition: nowhere }")
    pid = processes.start(_PYTHON, "-c", _HOLD, speaks=True)
    result = _memory.scan(pid, yara_rules=[str(wrong)])
    (reason,) = _memory.skipped(result)
    assert f'yara_rules: {wrong} can\'t be used: error: rule "wrong"' in reason
    assert result["coverage"][0]["status"] == "partial"


def _switches(pid: int) -> list[str]:
    return [line for line in _status(pid).splitlines() if "ctxt_switches" in line]


def _status(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
