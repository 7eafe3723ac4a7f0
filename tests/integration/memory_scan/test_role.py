# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan looks into the memory of processes, records what it finds, and respond does what is said about it.

Every play here names a process that this test has started; no other one is looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
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
        self.failed: set[str] = set()

    def __call__(
        self, playbook: str, *arguments: str, pid: int | None = None, works: bool = True, **variables: t.Any
    ) -> str:
        """Return what the job printed, on one line, as Ansible breaks lines where it likes.

        pid: the process that is looked at, where the inventory doesn't say it.
        """
        given: dict[str, t.Any] = {"bulwark_capabilities": "memory_scan", "bulwark_become": False}
        if pid is not None:
            given |= {"memory_scan_pids": [pid], "memory_scan_state_dir": str(self.state)}
        given |= variables
        if playbook != "bulwark.servers.scan":
            del given["bulwark_capabilities"]
        answer = self.scanner.play(playbook, *arguments, check=False, **given)
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        self.failed = {host for host, numbers in _scans.recap(answer).items() if numbers["failed"]}
        return " ".join(output.replace("\\n", " ").split())

    def inventory(self, hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> pathlib.Path:
        """Have plays look at this machine under several names, each with variables and a state of its own."""
        local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        # They look at the same time, beside other tests, and would wait for all of them.
        shared = {**local, "memory_scan_priority": "normal"}
        given = {
            name: {**shared, "memory_scan_state_dir": f"{self.state}/{name}", **variables}
            for name, variables in hosts.items()
        }
        self.scanner.inventory = self.scanner.directory / "hosts.yml"
        self.scanner.inventory.write_text(json.dumps({"all": {"hosts": given}}), encoding="utf-8")
        return self.scanner.inventory

    def evidence(self, host: str = "*") -> dict[str, t.Any]:
        (found,) = self.scanner.findings(host)
        (evidence,) = found.event["evidences"]
        return t.cast("dict[str, t.Any]", evidence)


@pytest.fixture
def play(tmp_path: pathlib.Path) -> Play:
    return Play(tmp_path)


# Variables that are wrong, each of a host of its own, and what is said of it.
_WRONG: dict[str, tuple[dict[str, t.Any], str]] = {
    "budget": ({"memory_scan_time_budget": 0}, "memory_scan_time_budget is 0; use 1 or more"),
    "exclude": ({"memory_scan_exclude": [0]}, "memory_scan_exclude: 0 is not a process id"),
    "pids": (
        {"memory_scan_pids": [99999999999999999999]},
        "memory_scan_pids: 99999999999999999999 is not a process id; they are from 1 to 4194304",
    ),
    "allowlist": (
        {"memory_scan_allowlist": [{"sha256": "ab", "reason": "x", "until": "2999-12-31"}]},
        "memory_scan_allowlist: entry 1: sha256 'ab' is not a digest of 64 hexadecimal digits",
    ),
    "priority": ({"memory_scan_priority": "high"}, "value of memory_scan_priority must be one of: idle, normal"),
    "name": ({"memory_scan_pid": [5]}, "There is no option 'memory_scan_pid'; did you mean memory_scan_pids?"),
}

_DATES = """
  - {package: nobody-has-this, reason: of this test, until: 2020-12-31}
  - {package: nobody-has-this-either, reason: of this test, until: 2999-12-31}
"""


def test_a_scan_records_what_it_found_and_keeps_it_when_the_process_is_gone(play: Play, tmp_path: pathlib.Path) -> None:
    """Scan under one name for each of the variables that matter."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("id: tool_one\n---\nid: tool_two\n", encoding="utf-8")
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "dates.yml").write_text(f"memory_scan_allowlist:{_DATES}", encoding="utf-8")
    digest = hashlib.sha256(pathlib.Path("/bin/sleep").read_bytes()).hexdigest()
    with from_memory() as process:
        subtypes = sorted({sign["subtype"] for sign in _memory.signs(_memory.scan(process.pid))})
        entry = {"sha256": digest, "subtypes": subtypes, "reason": "of this test"}
        hosts: dict[str, dict[str, t.Any]] = {
            "plain": {},
            "allowed": {"memory_scan_allowlist": [{**entry, "until": "2999-12-31"}]},
            "ended": {"memory_scan_allowlist": [{**entry, "until": "2020-01-01"}]},
            "signatures": {"memory_scan_signature_paths": [str(wrong)]},
            "dates": {},
            **{name: variables for name, (variables, _words) in _WRONG.items()},
        }
        play.inventory({name: {"memory_scan_pids": [process.pid], **given} for name, given in hosts.items()})
        output = play("bulwark.servers.scan", works=False)
        assert _scans.misconfigured(output, hosts) == set(_WRONG)

        ((alert, subject),) = play.scanner.open("plain")
        assert alert == TECHNIQUE
        assert "memfd:payload" in subject
        evidence = play.evidence("plain")
        assert evidence["process"]["pid"] == process.pid
        assert evidence["process"]["cmd_line"] == "payload 300"
        assert evidence["data"]["started"] > 0
        assert evidence["data"]["signs"][0]["class"] == "technique"
        # What is allowed is no finding until the entry ends.
        assert evidence["process"]["file"]["hashes"][0]["value"] == digest
        assert play.scanner.open("allowed") == {}
        assert [alert for alert, _subject in play.scanner.open("ended")] == [TECHNIQUE]
    # Signatures that can't be used are in the coverage.
    notes = {entry["scope"]: entry["note"] for entry in play.scanner.coverage()["signatures"].entries}
    assert str(notes["processes"]).startswith(
        f"2 signatures of yours can't be used: {wrong}, line 1: signature tool_one"
    )
    assert (notes["host"], notes["drift"]) == (None, None)
    _dates_are_read(play, "dates")
    # Wrong variables are noted by their names.
    for name, (_variables, words) in _WRONG.items():
        assert words in output
        assert words in play.scanner.reasons(name)

    # Who ends a process does not close what is known of it.
    play("bulwark.servers.scan", "--limit", "plain", pid=os.getpid(), memory_scan_names=[])
    assert (TECHNIQUE, subject) in play.scanner.open("plain")


def test_check_mode_records_nothing(play: Play) -> None:
    with from_memory() as process:
        play("bulwark.servers.scan", "--check", pid=process.pid)
        assert play.scanner.open() == {}
        assert not play.state.exists()


def test_dates_need_no_quotes(tmp_path: pathlib.Path) -> None:
    """Give them to ansible-core 2.18; the scan of all variables gives them to 2.21."""
    (tmp_path / "ours.yml").write_text(f"memory_scan_allowlist:{_DATES}")
    play = Play(tmp_path, "2.18")
    play("bulwark.servers.scan", "--extra-vars", f"@{tmp_path}/ours.yml", pid=os.getpid())
    _dates_are_read(play, "localhost")


def _dates_are_read(play: Play, host: str) -> None:
    entries = play.scanner.coverage()[host].entries
    (entry,) = (entry for entry in entries if entry["scope"] == "processes")
    assert "nobody-has-this ended on 2020-12-31" in str(entry["note"])
    assert "either" not in str(entry["note"])
    assert _memory.skipped({"coverage": entries}) == []


def test_respond_does_what_is_said_and_only_when_told_to(play: Play) -> None:
    rules: list[dict[str, t.Any]] = [
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
        _respond_to_each(play, pid, rules)
        play.scanner.inventory = THIS_MACHINE
        kill = [{"action": "kill", "classes": ["technique"]}]
        said = play("bulwark.servers.respond", pid=pid, bulwark_respond=True, memory_scan_response_rules=kill)
        assert f"Process {pid} was ended." in said
        assert process.wait() == -9
        # What has ended can't be found again.
        assert "The findings are recorded" in said
        assert [alert for alert, _subject in play.scanner.open("localhost")] == [TECHNIQUE]
        assert play.evidence("localhost")["process"]["pid"] == pid


def _shown(output: str) -> dict[str, str]:
    """Return what respond shows of each host."""
    shown = output.partition("Show actions and failures")[2]
    return dict(re.findall(r"\[(\w+)\] => (.*?)(?=\[\w+\] =>|TASK \[|$)", shown))


def _respond_to_each(play: Play, pid: int, rules: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Respond under several names, with rules, without any, and where the host can't be looked at."""
    chosen = {"memory_scan_pids": [pid]}
    given = {**chosen, "memory_scan_response_rules": rules}
    ssh = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts: dict[str, dict[str, t.Any]] = {
        "ruled": given,
        "unruled": chosen,
        "misconfigured": {**given, "memory_scan_time_budget": 0},
        "unreachable": {**given, **ssh},
    }
    play.inventory(hosts)
    said = _shown(play("bulwark.servers.respond", works=False, bulwark_respond=True))
    assert "No finding matches memory_scan_response_rules." in said["unruled"]
    directory = play.state / "ruled" / "memory_scan"
    assert f"Evidence of process {pid} was kept in {directory}/capture-" in said["ruled"]
    assert f"Process {pid} was stopped." in said["ruled"]
    assert [host for host, words in said.items() if f"Process {pid} " in words] == ["ruled"]
    (kept,) = directory.glob("capture-*.tar")
    assert kept.stat().st_size > pathlib.Path("/bin/sleep").stat().st_size
    assert state(pid) == "T"
    # A host that can't be looked at is said and recorded.
    wrong = "memory_scan_time_budget is 0; use 1 or more"
    assert f"Nothing was done: {wrong}" in said["misconfigured"]
    assert wrong in play.scanner.reasons("misconfigured")
    assert "Nothing was done: Failed to connect to the host via ssh" in said["unreachable"]
    unreachable = "the host was unreachable: Failed to connect to the host via ssh"
    assert unreachable in play.scanner.reasons("unreachable")


def test_without_its_evidence_no_process_is_ended(play: Play) -> None:
    rules = [
        {"action": "capture", "classes": ["technique"]},
        {"action": "kill", "classes": ["technique"]},
    ]
    # To be stopped keeps what is in memory.
    stopping = [*rules, {"action": "stop", "classes": ["technique"]}]
    with from_memory() as first, from_memory() as second, from_memory() as third:
        pids = {first.pid, second.pid}
        hosts: dict[str, dict[str, t.Any]] = {
            "full": {
                "memory_scan_pids": sorted(pids),
                "memory_scan_response_rules": rules,
                "memory_scan_max_captures": 1,
            },
            "without_dumps": {
                "memory_scan_pids": [third.pid],
                "memory_scan_response_rules": stopping,
                "memory_scan_max_dump": 0,
            },
        }
        play.inventory(hosts)
        said = play("bulwark.servers.respond", works=False, bulwark_respond=True)
        assert play.failed == set(hosts)
        shown = _shown(said)
        (ended,) = (pid for pid in pids if f"Evidence of process {pid} was kept in " in shown["full"])
        (left,) = pids - {ended}
        assert f"Process {ended} was ended." in shown["full"]
        assert f"Process {left}, capture: {play.state}/full/memory_scan has 1 captures of this run already" in said
        assert "raise memory_scan_max_captures." in shown["full"]
        assert f"Process {left} was not ended, as no evidence of it was kept." in shown["full"]
        assert state(left) == "S"
        assert f"Process {third.pid}, capture: memory_scan_max_dump is 0; use 1 or more" in shown["without_dumps"]
        assert f"Process {third.pid} was stopped." in said
        assert f"Process {third.pid} was stopped; its evidence is in its memory only." in shown["without_dumps"]
        assert state(third.pid) == "T"


def test_misspelt_rules_are_refused_before_any_host_is_scanned(play: Play) -> None:
    rules = [{"action": "kill", "subtypes": ["known_minr"]}, {"action": "stop"}]
    said = play(
        "bulwark.servers.respond", pid=1 << 30, works=False, bulwark_respond=True, memory_scan_response_rules=rules
    )
    assert (
        "memory_scan_response_rules: entry 1: there is no subtype 'known_minr'; did you mean known_miner?; "
        "entry 2: give 'classes', 'subtypes' or both."
    ) in said
    assert "TASK [Open the run]" not in said


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
