# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress callback in real runs: in a pipe, on a terminal, beside another callback and under ansible-runner.

The hosts are this machine under several names, and two that nothing listens on. The modules they run have the names of
the collection's own and do what a test tells them to: fail, take their time, return hostile text.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import typing as t

import pytest

from tests.support import paths, require
from tests.support.controllers import Controller

# Both of what they do differently: how they name an error, draw while tasks run, and end when they are interrupted.
VERSIONS = ["2.18", "2.21"]

SCAN = """
import time
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({"seconds": {"type": "float"}, "fail": {"type": "bool"}}, supports_check_mode=True)
module.warn("a warning \\x1b[2J that wipes")
module.deprecate("an old option", version="9.0.0", collection_name="bulwark.servers")
time.sleep(module.params["seconds"])
if module.params["fail"]:
    module.fail_json(msg="no space left \\x1b]0;title\\x07", rc=28, stderr="\\n".join("line %d" % n for n in range(9)))
coverage = [{"scope": "etc", "status": "checked"}]
looked = {"severities": {"critical": 1, "low": 1}, "coverage": coverage, "not_checked": []}
module.exit_json(capabilities={"file_integrity": looked})
"""
RUN = """
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule({"capabilities": {"type": "list"}})
module.exit_json(changed=True, run={"id": "1", "capabilities": module.params["capabilities"]})
"""
REPORT = """
from ansible.module_utils.basic import AnsibleModule

AnsibleModule({}).exit_json(changed=True, summary=["Findings: 3 new \\x1b[2J"], path="/tmp/report.html")
"""
INVENTORY = """
all:
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  hosts:
    web[1:4]:
      ansible_connection: local
    gone[1:2]:
      ansible_host: 127.0.0.1
      ansible_port: 1
"""
PLAYBOOK = """
- name: Scan
  hosts: all
  gather_facts: false
  tasks:
    - name: Open the run
      bulwark.servers.findings_run:
        capabilities: [file_integrity]
      run_once: true
      delegate_to: web1
    - name: Compare
      bulwark.servers.host_scan:
        seconds: "{{ seconds }}"
        fail: "{{ inventory_hostname == 'web3' }}"
    - name: Say something
      ansible.builtin.debug:
        msg: "said by {{ inventory_hostname }}\\nweb9: forged \\e[2J"
      when: inventory_hostname == 'web1'
    - name: Say several things
      ansible.builtin.debug:
        msg: [one, two]
      when: inventory_hostname == 'web1'
    - name: Say what something is
      ansible.builtin.debug:
        var: inventory_hostname
      when: inventory_hostname == 'web1'
    - name: Demand something
      ansible.builtin.assert:
        that: inventory_hostname == 'web1'
        fail_msg: "{{ inventory_hostname }} is another"
      ignore_errors: true
      when: inventory_hostname in ['web2']
    - name: Write the report
      bulwark.servers.findings_report:
      run_once: true
"""

UNREACHABLE = "ssh: connect to host 127.0.0.1 port 1: Connection refused"
SUMMARY = [
    r"Scanned 3 of 6 hosts in \d+:\d\d\.",
    r"Findings: 3 new \\x1b\[2J",
    r"Report: /tmp/report\.html",
    r"Did not answer: 2 hosts",
    r"  gone1 and gone2: ssh: connect to port 1: Connection refused",
    r"With errors: 1 host",
    r"  web3: Compare: no space left \\x1b\]0;title\\x07",
]


@dataclasses.dataclass(frozen=True)
class Project:
    """A directory with a playbook, an inventory, and a collection of the callback and modules that do as told."""

    directory: pathlib.Path

    def command(self, controller: Controller, *arguments: str, seconds: float = 0) -> list[str]:
        playbook = [controller.program("ansible-playbook"), "--inventory", "hosts.yml", "scan.yml"]
        return [*playbook, "--extra-vars", f"seconds={seconds}", *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        return {
            **inherited,
            "ANSIBLE_COLLECTIONS_PATH": str(self.directory / "collections"),
            "ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            **variables,
        }

    def piped(self, controller: Controller, *arguments: str, **variables: str) -> str:
        """Run the playbook with its output in a pipe and return that."""
        answer = subprocess.run(
            self.command(controller, *arguments),
            cwd=self.directory,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert answer.returncode == 4, answer.stdout  # hosts were unreachable
        return answer.stdout


@pytest.fixture
def project(tmp_path: pathlib.Path) -> Project:
    collection = tmp_path / "collections" / "ansible_collections" / "bulwark" / "servers"
    modules = collection / "plugins" / "modules"
    modules.mkdir(parents=True)
    for name in ("callback", "plugin_utils", "module_utils"):
        (collection / "plugins" / name).symlink_to(paths.ROOT / "plugins" / name)
    (collection / "galaxy.yml").symlink_to(paths.ROOT / "galaxy.yml")
    (modules / "host_scan.py").write_text(SCAN)
    (modules / "findings_run.py").write_text(RUN)
    (modules / "findings_report.py").write_text(REPORT)
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    (tmp_path / "scan.yml").write_text(PLAYBOOK)
    return Project(tmp_path)


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a terminal of 100 columns and 40 rows showed: its lines at the end, and all that was written to it."""

    lines: list[str]
    frames: list[list[str]]
    written: str
    cursor_column: int
    status: int


def on_terminal(command: list[str], project: Project, interrupt_after: str | None = None, **variables: str) -> Shown:
    """Run a command on a terminal. interrupt_after: press ^C as soon as this is on the screen."""
    require("module:pyte")
    import pyte  # type: ignore[import-not-found, unused-ignore]

    screen = pyte.Screen(100, 40)
    stream = pyte.ByteStream(screen)
    process, descriptor = pty.fork()
    if process == 0:
        # As a shell gives it: tests that run in the background may ignore ^C, and what is ignored is inherited.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(project.directory)
        os.execve(command[0], command, project.environment(**variables))  # noqa: S606
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    written, frames, pressed = b"", [], False
    for data in _reads(descriptor):
        written += data
        stream.feed(data)
        frames.append([line.rstrip() for line in screen.display])
        if interrupt_after and not pressed and any(interrupt_after in line for line in screen.display):
            pressed = True
            os.write(descriptor, b"\x03")
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    lines = [line.rstrip() for line in screen.display if line.strip()]
    return Shown(lines, frames, written.decode(), screen.cursor.x, status)


def _reads(descriptor: int) -> t.Iterator[bytes]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            data = os.read(descriptor, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that the other side has closed
                raise
            return
        if not data:
            return
        yield data
    raise AssertionError("the run did not end within two minutes")


def ends_with(lines: list[str], patterns: list[str]) -> bool:
    return all(re.fullmatch(pattern, line) for pattern, line in zip(patterns, lines[-len(patterns) :], strict=True))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_log_has_what_went_wrong_and_the_summary_and_no_escape_codes(
    version: str, project: Project, controller: t.Callable[[str], Controller]
) -> None:
    said = project.piped(controller(version))
    assert "\x1b" not in said
    lines = said.splitlines()
    assert lines.count("Scan: 6 hosts") == 1
    assert len([line for line in lines if re.match(r"gone\d: did not answer: Compare: .*" + UNREACHABLE, line)]) == 2
    assert len([line for line in lines if line.startswith("    task: ")]) == 2  # of the two tasks that failed
    failed = lines.index("web3: failed: Compare: no space left \\x1b]0;title\\x07")
    assert lines[failed + 1 : failed + 4] == [
        "    rc: 28",
        "    stderr: (4 lines before; -v shows them)",
        "    stderr: line 4",
    ]
    line = PLAYBOOK.splitlines().index("    - name: Compare") + 1
    assert f"    task: {project.directory}/scan.yml:{line}" in lines
    assert "[WARNING]: a warning \\x1b[2J that wipes" in lines
    assert "[DEPRECATION WARNING]: an old option." in said
    assert lines[lines.index("web1: said by web1") + 1] == "    web9: forged \\x1b[2J"
    assert lines[lines.index("web1: one") + 1] == "    two"
    assert [line.strip() for line in lines if line.strip() == '"inventory_hostname": "web1"']
    assert "web2: failed, which is ignored: Demand something: web2 is another" in lines
    assert "    assertion: inventory_hostname == 'web1'" in lines
    assert not [line for line in lines if line.startswith(("ok:", "TASK", "changed:"))]
    assert ends_with(lines, SUMMARY), said


@pytest.mark.parametrize("version", VERSIONS)
def test_a_terminal_has_a_block_while_the_run_lasts_and_the_same_as_a_log_after_it(
    version: str, project: Project, controller: t.Callable[[str], Controller]
) -> None:
    shown = on_terminal(project.command(controller(version), seconds=2), project)
    assert shown.status == 4
    blocks = [frame for frame in shown.frames if any("File integrity [" in line for line in frame)]
    assert any(
        re.match(r"Scan: 6 hosts, 0 done(, 2 did not answer)?; \d+:\d\d$", line) for frame in blocks for line in frame
    )
    assert any(
        re.match(r"File integrity \[#{12}\.{12}\] 3/6  3 critical, 3 low$", line) for frame in blocks for line in frame
    )
    # Only one block at a time: what was drawn before is gone.
    assert max(sum("File integrity [" in line for line in frame) for frame in blocks) == 1
    assert not [line for line in shown.lines if "File integrity [" in line]
    assert not re.search("\x1b\\[2J|\x1b\\]|\x07", shown.written)
    assert ends_with(shown.lines, SUMMARY), shown.lines


@pytest.mark.parametrize("version", VERSIONS)
def test_an_interrupted_run_leaves_the_terminal_as_it_was(
    version: str, project: Project, controller: t.Callable[[str], Controller]
) -> None:
    command = project.command(controller(version), seconds=60)
    shown = on_terminal(command, project, interrupt_after="Compare: 2/6")
    assert shown.status == 99, {line for frame in shown.frames for line in frame if "Compare: " in line}
    assert not [line for line in shown.lines if "File integrity [" in line or line.startswith(("Scan", "^C"))]
    assert any("User interrupted execution" in line for line in shown.lines)
    assert re.match(r"Stopped after \d+:\d\d with 0 of 6 hosts done, before the end of the playbook\.", shown.lines[-1])
    assert shown.cursor_column == 0


@pytest.mark.parametrize(
    ("variables", "obeyed"),
    [({}, ["F", "J"]), ({"BULWARK_PROGRESS": "plain"}, [])],
)
def test_a_terminal_is_asked_for_no_more_than_it_can(
    variables: dict[str, str], obeyed: list[str], project: Project, controller: t.Callable[[str], Controller]
) -> None:
    variables = {"NO_COLOR": "1", **variables}
    shown = on_terminal(project.command(controller("2.21"), seconds=1), project, **variables)
    assert set(re.findall("\x1b\\[[0-9;]*([A-Za-z])", shown.written)) == set(obeyed)
    assert ends_with(shown.lines, SUMMARY), shown.lines


def test_verbose_shows_what_ansible_shows_and_the_summary(
    project: Project, controller: t.Callable[[str], Controller]
) -> None:
    said = project.piped(controller("2.18"), "-v")
    assert "\x1b" not in said
    lines = said.splitlines()
    assert [line for line in lines if re.match(r"TASK \[Compare\] \*+", line)]
    assert [line for line in lines if re.match(r"ok: \[web1\] => \{.*\"coverage\": ", line)]
    assert [line for line in lines if re.match(r"fatal: \[web3\]: FAILED! => \{.*no space left", line)]
    assert [line for line in lines if re.match(r"web1 +: ok=", line)]
    assert ends_with(lines, SUMMARY), said


def test_beside_another_callback_it_adds_progress_and_summary_once(
    project: Project, controller: t.Callable[[str], Controller]
) -> None:
    beside = {"ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_CALLBACKS_ENABLED": "bulwark.servers.progress"}
    lines = project.piped(controller("2.21"), **beside).splitlines()
    assert [line for line in lines if re.match(r"fatal: \[web3\]: FAILED! => ", line)]
    assert not [line for line in lines if line.startswith("web3: failed")]
    assert lines.count("Did not answer: 2 hosts") == 1
    assert ends_with(lines, SUMMARY), lines


def test_configured_in_both_places_it_speaks_once(project: Project, controller: t.Callable[[str], Controller]) -> None:
    lines = project.piped(controller("2.18"), ANSIBLE_CALLBACKS_ENABLED="bulwark.servers.progress").splitlines()
    assert lines.count("Did not answer: 2 hosts") == 1


def test_a_large_fleet_is_no_flood(project: Project, controller: t.Callable[[str], Controller]) -> None:
    (project.directory / "hosts.yml").write_text("all: {hosts: {'web[001:200]': {}}}\n")
    (project.directory / "scan.yml").write_text(
        "- name: Scan\n  hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.set_fact: {x: 1}\n"
    )
    answer = subprocess.run(
        project.command(controller("2.21")),
        cwd=project.directory,
        env=project.environment(BULWARK_PROGRESS_INTERVAL="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = answer.stdout.splitlines()
    assert lines[0] == "Scan: 200 hosts"
    assert re.fullmatch(r"Scan: 200 hosts in \d+:\d\d\.", lines[-1])
    progress = re.compile(r"Scan: 200 hosts; \d+:\d\d; ansible.builtin.set_fact: \d+/200(, \d+ at work)?")
    # A line can be due between the start of the play and that of its first task.
    first = 2 if re.fullmatch(r"Scan: 200 hosts; \d+:\d\d", lines[1]) else 1
    assert [line for line in lines[first:-1] if not progress.fullmatch(line)] == []
    assert 0 < len(lines[1:-1]) < 60


@pytest.mark.parametrize("name", ["ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_STDOUT_CALLBACK"])
def test_under_ansible_runner_as_in_awx_it_writes_lines(
    name: str, project: Project, controller: t.Callable[[str], Controller]
) -> None:
    require("module:ansible_runner")
    core = controller("2.21")
    data = project.directory / "data"
    (data / "project").mkdir(parents=True)
    (data / "project" / "scan.yml").write_text(PLAYBOOK)
    variables = {"BULWARK_PROGRESS_INTERVAL": "1", name: "bulwark.servers.progress"}
    environment = {**project.environment(), "ANSIBLE_NOCOLOR": "1"}
    del environment["ANSIBLE_STDOUT_CALLBACK"]
    environment["PATH"] = f"{pathlib.Path(core.program('ansible-playbook')).parent}{os.pathsep}{environment['PATH']}"
    runner = [sys.executable, "-m", "ansible_runner", "run", str(data), "--playbook", "scan.yml"]
    runner += ["--inventory", str(project.directory / "hosts.yml"), "--cmdline", "--extra-vars seconds=2"]
    answer = subprocess.run(
        runner, env={**environment, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    lines = answer.stdout.splitlines()
    assert [
        line for line in lines if re.match(r"Scan: 6 hosts, 0 done(, 2 did not answer)?; 0:0\d; Compare: \d/6", line)
    ], answer.stdout
    assert "\x1b[J" not in answer.stdout
    assert ends_with(lines, SUMMARY), answer.stdout


def test_the_scan_itself_ends_with_what_was_found_and_where_the_report_is(
    tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]
) -> None:
    core = controller("2.21")
    watched = tmp_path / "watched"
    watched.mkdir()
    report = tmp_path / "report.html"
    variables = {
        "bulwark_become": False,
        "bulwark_report_path": str(report),
        # Wide enough for the whole path of the finding.
        "bulwark_width": 240,
        "bulwark_store": f"sqlite:///{tmp_path}/findings.db",
        # A baseline of the test's own: this machine may have others.
        "file_integrity_state_dir": str(tmp_path / "state"),
        "file_integrity_default_watches": False,
        "file_integrity_watches": [{"name": "watched", "paths": [str(watched)], "category": "program"}],
        # Nothing else of this machine is looked into: its logs and processes may have findings.
        "bulwark_capabilities": ["file_integrity"],
    }

    def scan() -> list[str]:
        environment = {"ANSIBLE_STDOUT_CALLBACK": "bulwark.servers.progress"}
        answer = core.run_playbook(
            "bulwark.servers.scan", extra_vars=variables, environment=environment, state=tmp_path
        )
        return answer.stdout.splitlines()

    scan()
    (watched / "evil\x1b[2J\nweb9: forged").write_text("#!/bin/sh\n")
    lines = scan()
    assert lines[0] == "Open the run: 1 host"
    # A slow machine prints progress between the plays.
    plays = [line for line in lines if re.fullmatch(r"[\w ]+: 1 host", line)]
    assert plays == ["Open the run: 1 host", "Scan: 1 host", "Close the run: 1 host"]
    assert [line for line in lines if re.fullmatch(r"Scanned 1 of 1 host in \d+:\d\d\.", line)]
    row = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4} +high +new +localhost .*evil\\x1b\[2J\\nweb9: forged")
    assert [line for line in lines if row.fullmatch(line)], lines
    assert lines[-1] == f"Report: {report}"
    assert "\x1b" not in "".join(lines)
