# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What make scan and its siblings say before Ansible is started, and how they end."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import types
import typing as t

import pytest

from tests.support import paths
from tests.support.waiting import until

SCRIPT = paths.ROOT / "tools" / "playbook.py"


@pytest.fixture(scope="module")
def playbook() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("playbook", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*arguments: str, build: pathlib.Path, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments, "--build", str(build)]
    environment = {**os.environ, **settings}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"INVENTORY": "no/hosts.yml"}, "make scan: INVENTORY=no/hosts.yml does not exist; name a file or directory"),
        ({"REPORT": "/"}, "make scan: REPORT=/ is a directory; name the file to write"),
        ({"REPORT": "/dev/null/report.html"}, "make scan: REPORT=/dev/null/report.html: its directory cannot be made"),
        ({"REPORT": "/proc/self/x"}, "make scan: REPORT=/proc/self/x: its directory cannot be written to"),
        ({"ARGS": "-e 'x"}, "make scan: ARGS=-e 'x cannot be split into words: No closing quotation"),
    ],
)
def test_a_wrong_setting_is_said_in_one_sentence(
    settings: dict[str, str], message: str, tmp_path: pathlib.Path
) -> None:
    answer = run("scan", build=tmp_path, **settings)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(message)
    assert answer.stderr.count("\n") == 1


@pytest.mark.requires("root")
def test_a_report_s_directory_that_sudo_made_is_said_in_one_sentence() -> None:
    """The owner of a checkout scans after root did."""
    nobody = 65534
    with tempfile.TemporaryDirectory() as directory:
        checkout = pathlib.Path(directory)
        build = checkout / ".build"
        checkout.chmod(0o755)
        build.mkdir()
        os.chown(build, nobody, nobody)
        script = shutil.copy(SCRIPT, checkout)
        (build / "report").mkdir(mode=0o700)
        (build / "report" / "scan.html").write_text("of root")
        answer = subprocess.run(
            [os.path.realpath(sys.executable), script, "scan", "--build", str(build)],
            env={name: value for name, value in os.environ.items() if name != "REPORT"},
            capture_output=True,
            text=True,
            check=False,
            user=nobody,
            group=nobody,
            extra_groups=[],
        )
        report = build / "report"
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        f"make scan: {report} belongs to another account, as after sudo make scan; take it back with"
        f" 'sudo chown -R {nobody} {report}', or name another file with REPORT=FILE\n"
    )


@pytest.mark.parametrize("inventory", ["web1,", "web1,web2", str(paths.ROOT / "tests"), str(SCRIPT)])
def test_hosts_files_and_directories_are_inventories(inventory: str, playbook: types.ModuleType) -> None:
    command = playbook.command_line("scan", {"INVENTORY": inventory, "LIMIT": "web1"}, pathlib.Path("/r.html"))
    assert command[:3] == ["bulwark.servers.scan", "--inventory", inventory]
    assert command[-2:] == ["--limit", "web1"]


def test_the_report_s_directory_is_made(tmp_path: pathlib.Path, playbook: types.ModuleType) -> None:
    report = tmp_path / "new" / "report.html"
    assert playbook.report_path({"REPORT": str(report)}, tmp_path) == report
    assert report.parent.is_dir()
    assert playbook.report_path({}, tmp_path) == tmp_path / "report" / "scan.html"


def test_without_an_inventory_this_machine_is_looked_at_as_who_runs_it(playbook: types.ModuleType) -> None:
    command: list[str] = playbook.command_line("scan", {"STORE": "sqlite:////s.db"}, pathlib.Path("/r.html"))
    assert command[2].endswith("this_machine.yml")
    variables = json.loads(command[command.index("--extra-vars") + 1])
    assert (variables["bulwark_become"], variables["bulwark_store"]) == (False, "sqlite:////s.db")


def test_other_collections_are_found_as_ever(playbook: types.ModuleType, tmp_path: pathlib.Path) -> None:
    ours = str(tmp_path / "collections")
    default = f"{ours}:~/.ansible/collections:/usr/share/ansible/collections"
    assert playbook.collections_path(tmp_path, {}) == default
    assert playbook.collections_path(tmp_path, {"ANSIBLE_COLLECTIONS_PATH": f"/a:{ours}:/b"}) == f"{ours}:/a:/b"


def test_a_shell_that_evaluates_the_settings_finds_programs_and_collection(tmp_path: pathlib.Path) -> None:
    build = tmp_path / "it's a place"
    build.mkdir()
    lines = run("--shell", build=build).stdout
    script = 'eval "$1"; eval "$1"; command -v python3; printf "%s\\n" "$ANSIBLE_COLLECTIONS_PATH"'
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": "/others"}
    command = ["/bin/sh", "-euc", script, "sh", lines]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[0] == str(pathlib.Path(sys.executable).with_name("python3"))
    assert answer.stdout.splitlines()[1].startswith(f"{build}/collections:")


def test_it_is_a_playbook_or_a_shell(tmp_path: pathlib.Path) -> None:
    assert run(build=tmp_path).returncode == 2
    assert run("scan", "--shell", build=tmp_path).returncode == 2


def test_an_interrupt_ends_both_and_is_no_traceback(tmp_path: pathlib.Path) -> None:
    programs = tmp_path / "env" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    started = tmp_path / "started"
    ansible = programs / "ansible-playbook"
    ansible.write_text(f"#!/bin/sh\ntrap 'echo ended; exit 99' INT\n: > {started}\nwhile :; do sleep 0.05; done\n")
    ansible.chmod(0o755)
    command = [str(programs / "python"), str(SCRIPT), "scan", "--build", str(tmp_path)]
    # As a terminal does it: both are in one process group, and both are told.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until(started.exists)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, output, errors) == (130, "ended\n", "")


def test_a_second_interrupt_does_not_wait(tmp_path: pathlib.Path) -> None:
    programs = tmp_path / "env" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    started, told = tmp_path / "started", tmp_path / "told"
    ansible = programs / "ansible-playbook"
    ansible.write_text(f"#!/bin/sh\ntrap ': > {told}' INT\n: > {started}\nwhile :; do sleep 0.05; done\n")
    ansible.chmod(0o755)
    command = [str(programs / "python"), str(SCRIPT), "scan", "--build", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until(started.exists)
    os.killpg(process.pid, signal.SIGINT)
    until(told.exists)
    os.killpg(process.pid, signal.SIGINT)
    _output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")


def test_the_exit_code_is_ansible_s(tmp_path: pathlib.Path) -> None:
    programs = tmp_path / "env" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "ansible-playbook").write_text("#!/bin/sh\nexit 4\n")
    (programs / "ansible-playbook").chmod(0o755)
    command: t.Sequence[str] = [str(programs / "python"), str(SCRIPT), "scan", "--build", str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 4
