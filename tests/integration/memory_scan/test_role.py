# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan looks into the memory of processes, records what it finds, and respond does what is said about it.

Every play here names a process that this test has started; no other one is looked at.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

import pytest

from tests.integration import _scans
from tests.integration.memory_scan import _memory
from tests.support.controllers import THIS_MACHINE, controller

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("memory_role")]

TECHNIQUE = "fileless_attack_technique"
_FROM_MEMORY = """
import os, sys
descriptor = os.memfd_create("payload", 0)
with open("/bin/sleep", "rb") as program, open(descriptor, "wb", closefd=False) as memory:
    memory.write(program.read())
os.execve(descriptor, ["payload", "300"], {})
"""


@contextlib.contextmanager
def from_memory() -> t.Iterator[subprocess.Popen[bytes]]:
    """Have a program that was started from memory."""
    with subprocess.Popen([sys.executable, "-c", _FROM_MEMORY]) as process:
        try:
            deadline = 500
            while "memfd:payload" not in os.readlink(f"/proc/{process.pid}/exe"):
                deadline -= 1
                assert deadline, "the program was not started"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.01)
            yield process
        finally:
            process.kill()


def state(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Play:
    """Runs playbooks against this machine, for processes of the test's own."""

    def __init__(self, directory: pathlib.Path, version: str = "2.21") -> None:
        self.state = directory / "state"
        self.scanner = _scans.Scanner(controller(version), THIS_MACHINE, directory)

    def __call__(self, playbook: str, *arguments: str, pid: int, works: bool = True, **variables: t.Any) -> str:
        """Return what the job printed, on one line, as Ansible breaks lines where it likes."""
        given = {
            "bulwark_capabilities": "memory_scan",
            "bulwark_become": False,
            "memory_scan_pids": [pid],
            "memory_scan_state_dir": str(self.state),
            **variables,
        }
        if playbook != "bulwark.servers.scan":
            del given["bulwark_capabilities"]
        answer = self.scanner.play(playbook, *arguments, check=False, **given)
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())

    def evidence(self) -> dict[str, t.Any]:
        (found,) = self.scanner.findings()
        (evidence,) = found.event["evidences"]
        return t.cast("dict[str, t.Any]", evidence)


@pytest.fixture
def play(tmp_path: pathlib.Path) -> Play:
    return Play(tmp_path)


def test_a_scan_records_what_it_found_and_keeps_it_when_the_process_is_gone(play: Play) -> None:
    with from_memory() as process:
        play("bulwark.servers.scan", pid=process.pid)
        ((alert, subject),) = play.scanner.open()
        assert alert == TECHNIQUE
        assert "memfd:payload" in subject
        evidence = play.evidence()
        assert evidence["process"]["pid"] == process.pid
        assert evidence["process"]["cmd_line"] == "payload 300"
        assert evidence["data"]["started"] > 0
        assert evidence["data"]["signs"][0]["class"] == "technique"
    # Who ends a process does not close what is known of it.
    play("bulwark.servers.scan", pid=os.getpid(), memory_scan_names=[])
    assert (TECHNIQUE, subject) in play.scanner.open()


def test_check_mode_records_nothing(play: Play) -> None:
    with from_memory() as process:
        play("bulwark.servers.scan", "--check", pid=process.pid)
        assert play.scanner.open() == {}
        assert not play.state.exists()


def test_what_is_allowed_is_no_finding_until_the_entry_ends(play: Play) -> None:
    with from_memory() as process:
        play("bulwark.servers.scan", pid=process.pid)
        evidence = play.evidence()
        digest = evidence["process"]["file"]["hashes"][0]["value"]
        subtypes = sorted({sign["subtype"] for sign in evidence["data"]["signs"]})
        play.scanner.store_url += "-2"
        entry = {"sha256": digest, "subtypes": subtypes, "reason": "of this test", "until": "2999-12-31"}
        play("bulwark.servers.scan", pid=process.pid, memory_scan_allowlist=[entry])
        assert play.scanner.open() == {}
        play("bulwark.servers.scan", pid=process.pid, memory_scan_allowlist=[{**entry, "until": "2020-01-01"}])
        assert [alert for alert, _subject in play.scanner.open()] == [TECHNIQUE]


@pytest.mark.parametrize("version", ["2.18", "2.21"])
def test_dates_need_no_quotes(tmp_path: pathlib.Path, version: str) -> None:
    (tmp_path / "ours.yml").write_text(
        "memory_scan_allowlist:\n"
        "  - {package: nobody-has-this, reason: of this test, until: 2020-12-31}\n"
        "  - {package: nobody-has-this-either, reason: of this test, until: 2999-12-31}\n"
    )
    play = Play(tmp_path, version)
    play("bulwark.servers.scan", "--extra-vars", f"@{tmp_path}/ours.yml", pid=os.getpid())
    (found,) = play.scanner.coverage().values()
    (entry,) = (entry for entry in found.entries if entry["scope"] == "processes")
    assert "nobody-has-this ended on 2020-12-31" in str(entry["note"])
    assert "either" not in str(entry["note"])
    assert _memory.skipped({"coverage": found.entries}) == []


def test_signatures_that_cannot_be_used_are_in_the_coverage(play: Play, tmp_path: pathlib.Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("id: tool_one\n---\nid: tool_two\n", encoding="utf-8")
    play("bulwark.servers.scan", pid=os.getpid(), memory_scan_signature_paths=[str(wrong)])
    (found,) = play.scanner.coverage().values()
    notes = {entry["scope"]: entry["note"] for entry in found.entries}
    assert str(notes["processes"]).startswith(
        f"2 signatures of yours can't be used: {wrong}, line 1: signature tool_one"
    )
    assert (notes["host"], notes["drift"]) == (None, None)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"memory_scan_time_budget": 0}, "memory_scan_time_budget is 0; use 1 or more"),
        ({"memory_scan_exclude": [0]}, "memory_scan_exclude: 0 is no process id"),
        (
            {"memory_scan_pids": [99999999999999999999]},
            "memory_scan_pids: 99999999999999999999 is no process id; they are from 1 to 4194304",
        ),
        (
            {"memory_scan_allowlist": [{"sha256": "ab", "reason": "x", "until": "2999-12-31"}]},
            "memory_scan_allowlist: entry 1: sha256 'ab' is no digest of 64 hexadecimal digits",
        ),
        ({"memory_scan_priority": "high"}, "value of memory_scan_priority must be one of: idle, normal"),
        (
            {"memory_scan_pid": [5]},
            "There is no option 'memory_scan_pid'; memory_scan_pids is probably meant.",
        ),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_wrong_variables_are_noted_by_their_names(play: Play, variables: dict[str, t.Any], words: str) -> None:
    said = play("bulwark.servers.scan", pid=os.getpid(), works=False, **variables)
    assert words in said
    assert words.rstrip(".") in play.scanner.reasons("localhost")


def test_respond_does_what_is_said_and_only_when_told_to(play: Play) -> None:
    rules = [
        {"action": "stop", "classes": ["technique"]},
        {"action": "capture", "classes": ["toolkit", "technique"], "dump": True},
    ]
    with from_memory() as process:
        pid = process.pid
        said = play("bulwark.servers.respond", pid=pid, works=False, memory_scan_response_rules=rules)
        assert "Set bulwark_respond=true to keep evidence of processes" in said
        said = play("bulwark.servers.respond", "--check", pid=pid, memory_scan_response_rules=rules)
        assert f"Process {pid} would be captured." in said
        assert f"Process {pid} would be stopped." in said
        assert not play.state.exists()
        said = play("bulwark.servers.respond", pid=pid, bulwark_respond=True)
        assert "No finding matches memory_scan_response_rules." in said
        said = play("bulwark.servers.respond", pid=pid, bulwark_respond=True, memory_scan_response_rules=rules)
        assert f"Evidence of process {pid} was kept in {play.state}/memory_scan/capture-" in said
        assert f"Process {pid} was stopped." in said
        (kept,) = (play.state / "memory_scan").glob("capture-*.tar")
        assert kept.stat().st_size > pathlib.Path("/bin/sleep").stat().st_size
        assert state(pid) == "T"
        kill = [{"action": "kill", "classes": ["technique"]}]
        said = play("bulwark.servers.respond", pid=pid, bulwark_respond=True, memory_scan_response_rules=kill)
        assert f"Process {pid} was ended." in said
        assert process.wait() == -9
        # What has ended can't be found again.
        assert "The findings are recorded" in said
        assert [alert for alert, _subject in play.scanner.open()] == [TECHNIQUE]
        assert play.evidence()["process"]["pid"] == pid


def test_without_its_evidence_no_process_is_ended(play: Play) -> None:
    rules = [
        {"action": "capture", "classes": ["technique"]},
        {"action": "kill", "classes": ["technique"]},
    ]
    with from_memory() as first, from_memory() as second:
        pids = {first.pid, second.pid}
        given = {"bulwark_respond": True, "memory_scan_response_rules": rules, "memory_scan_pids": sorted(pids)}
        said = play("bulwark.servers.respond", pid=0, works=False, memory_scan_max_captures=1, **given)
        (ended,) = (pid for pid in pids if f"Evidence of process {pid} was kept in " in said)
        (left,) = pids - {ended}
        shown = said.partition("Show what was done, and what was not")[2]
        assert f"Process {ended} was ended." in shown
        assert f"Process {left}, capture: {play.state}/memory_scan has 1 captures of this run already" in shown
        assert "raise memory_scan_max_captures." in shown
        assert f"Process {left} was not ended, as no evidence of it was kept." in shown
        assert state(left) == "S"
        # To be stopped keeps what is in memory.
        rules.append({"action": "stop", "classes": ["technique"]})
        given["memory_scan_pids"] = [left]
        said = play("bulwark.servers.respond", pid=0, works=False, memory_scan_max_dump=0, **given)
        assert f"Process {left}, capture: memory_scan_max_dump is 0; use 1 or more" in said
        assert f"Process {left} was stopped." in said
        assert f"Process {left} was stopped; its evidence is in its memory only." in said
        assert state(left) == "T"


def test_misspelt_rules_are_refused_before_any_host_is_scanned(play: Play) -> None:
    rules = [{"action": "kill", "subtypes": ["known_minr"]}, {"action": "stop"}]
    said = play(
        "bulwark.servers.respond", pid=1 << 30, works=False, bulwark_respond=True, memory_scan_response_rules=rules
    )
    assert (
        "memory_scan_response_rules: entry 1: there is no subtype 'known_minr'; known_miner is probably meant; "
        "entry 2: say with 'classes' or 'subtypes' what it is about."
    ) in said
    assert "TASK [Open the run]" not in said


@pytest.mark.parametrize(
    ("variables", "said", "recorded"),
    [
        (
            {"memory_scan_time_budget": 0},
            "Nothing was done: memory_scan_time_budget is 0; use 1 or more",
            "memory_scan_time_budget is 0; use 1 or more",
        ),
        (
            {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1},
            "Nothing was done: Failed to connect to the host via ssh",
            "the host was unreachable: Failed to connect to the host via ssh",
        ),
    ],
    ids=["misconfigured", "unreachable"],
)
def test_a_host_that_cannot_be_looked_at_is_said_and_recorded(
    play: Play, variables: dict[str, t.Any], said: str, recorded: str
) -> None:
    rules = [{"action": "kill", "classes": ["technique"]}]
    given = {"bulwark_respond": True, "memory_scan_response_rules": rules, **variables}
    shown = play("bulwark.servers.respond", pid=os.getpid(), works=False, **given)
    assert said in shown.partition("Show what was done, and what was not")[2]
    assert recorded in play.scanner.reasons("localhost")


def test_what_is_simulated_is_seen_and_ended(play: Play, tmp_path: pathlib.Path) -> None:
    (tmp_path / "auth.log").touch()
    # Not below /tmp, where programs are suspicious.
    with tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/var/lib") as state:
        variables = {
            "bulwark_become": False,
            "bulwark_simulate": True,
            "bulwark_alerts": "fileless_attack_*",
            "bulwark_settle": 0,
            "audit_state_dir": state,
            "audit_log_paths": [str(tmp_path / "audit.log")],
            "audit_sign_in_paths": [str(tmp_path / "auth.log")],
            "audit_journal": "never",
            "memory_scan_state_dir": str(play.state),
        }
        done = play.scanner.play("bulwark.servers.simulate", check=False, **variables)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 0, said
        assert "3 seen, 0 missing, 0 failed, 0 skipped, 0 without a simulation; 0 with other alerts" in said
        assert os.listdir(f"{state}/simulation") == ["lock"]
        left = [path for path in pathlib.Path("/proc").glob("[0-9]*/exe") if state in _link(path)]
        assert left == []


def _link(path: pathlib.Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
