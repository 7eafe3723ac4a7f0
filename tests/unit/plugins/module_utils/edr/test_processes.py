# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a product are known by their programs; a name alone shows who pretends."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr import processes
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import DELETED, INTACT, REPLACED, Process

from tests.support import waiting
from tests.unit.plugins.module_utils.edr import products

pytestmark = pytest.mark.requires("root")

NOBODY = 65534


def look(directory: pathlib.Path) -> processes.Found:
    return processes.find([products.described(directory)])


def test_a_daemon_is_known_by_its_program(tmp_path: pathlib.Path) -> None:
    program = tmp_path / products.DAEMON
    with products.running(program) as pid:
        assert look(tmp_path).by_product == {"falco": [Process(pid, str(program), INTACT)]}
        # Under another name, too.
    with products.running(program, "kworker/0:1") as pid:
        found = look(tmp_path)
        assert found.by_product == {"falco": [Process(pid, str(program), INTACT)]}
        assert found.pretenders == []
    assert look(tmp_path).by_product == {}


def test_a_pattern_matches_versions_and_not_the_command(tmp_path: pathlib.Path) -> None:
    command = str(tmp_path / "ctl")
    entry = products.described(
        tmp_path, programs=[str(tmp_path / "*")], commands={"version": {"programs": [command], "arguments": []}}
    )
    with products.running(tmp_path / "sensor-9") as pid, products.running(tmp_path / "ctl"):
        assert [each.pid for each in processes.find([entry]).by_product["falco"]] == [pid]


def test_a_frozen_daemon_is_reported(tmp_path: pathlib.Path) -> None:
    with products.running(tmp_path / products.DAEMON) as pid:
        os.kill(pid, signal.SIGSTOP)
        waiting.until(lambda: look(tmp_path).by_product["falco"][0].frozen)
        os.kill(pid, signal.SIGCONT)
        waiting.until(lambda: not look(tmp_path).by_product["falco"][0].frozen)


@pytest.mark.parametrize(("again", "state"), [(False, DELETED), (True, REPLACED)])
def test_a_program_that_is_gone_or_another_one(tmp_path: pathlib.Path, again: bool, state: str) -> None:
    program = tmp_path / products.DAEMON
    with products.running(program):
        program.unlink()
        if again:
            shutil.copy("/bin/true", program)
        assert [each.state for each in look(tmp_path).by_product["falco"]] == [state]


def test_a_program_of_others_is_no_product(tmp_path: pathlib.Path) -> None:
    program = tmp_path / products.DAEMON
    with products.running(program):
        program.chmod(0o777)
        assert look(tmp_path).by_product == {}
        program.chmod(0o755)
        os.chown(program, NOBODY, 0)
        assert look(tmp_path).by_product == {}


def test_a_process_with_the_name_and_another_program_pretends(tmp_path: pathlib.Path) -> None:
    """Root's own program may be a product at an unusual path, that of an account one that somebody has built."""
    with tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/srv") as elsewhere:
        program = pathlib.Path(elsewhere, products.DAEMON)
        with products.running(program) as pid:
            (found,) = look(tmp_path).pretenders
            assert (found.pid, found.name, found.trusted, found.hides) == (pid, products.DAEMON, True, False)
            os.chown(program, NOBODY, 0)
            assert [(each.trusted, each.hides) for each in look(tmp_path).pretenders] == [(False, False)]
            os.chown(program, 0, 0)
            program.unlink()
            assert [(each.trusted, each.hides) for each in look(tmp_path).pretenders] == [(False, True)]
    other = tmp_path / "elsewhere"
    other.mkdir()
    with products.running(other / products.DAEMON):
        assert [(each.trusted, each.hides) for each in look(tmp_path).pretenders] == [(False, True)]


def test_a_name_that_the_program_does_not_have_pretends(tmp_path: pathlib.Path) -> None:
    text = f"open('/proc/self/comm', 'w').write('{products.DAEMON}'); input()"
    program = tmp_path / "miner"
    shutil.copy(os.path.realpath(shutil.which("bash") or "/bin/bash"), program)
    shell = f"printf %s {products.DAEMON} > /proc/$$/comm; echo ready; read -r line"
    for command, trusted in (
        ([str(program), "-c", shell], False),
        (["/usr/bin/python3", "-c", "print('ready', flush=True); " + text], True),
    ):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            found = [each for each in _settled(tmp_path) if each.pid == process.pid]
            process.communicate("\n", timeout=10)
        assert [each.trusted for each in found] == [trusted], command


def _settled(directory: pathlib.Path) -> list[processes.Pretender]:
    """Return the pretenders as soon as there are some; Python says that it is ready before it takes the name."""
    for _attempt in range(100):
        found = look(directory).pretenders
        if found:
            return list(found)
    return []


def test_who_has_rights_in_a_user_namespace_only_is_no_product(tmp_path: pathlib.Path) -> None:
    """Its owner can mount any file at the path of a product."""
    program = tmp_path / products.DAEMON
    shutil.copy(os.path.realpath(shutil.which("sleep") or "/bin/sleep"), program)
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", f"echo ready; exec {program} 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            pytest.fail("no user namespace can be made here, which the fleet's hosts and CI allow")
        try:
            end = 200
            while end and os.readlink(f"/proc/{process.pid}/exe") != str(program):
                end -= 1
            assert look(tmp_path).by_product == {}
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("name", "expected"), [(b"falco", True), (b"falcond", False), (b"", False), (b"\xff", False)])
def test_what_a_hidden_process_may_be(tmp_path: pathlib.Path, name: bytes, expected: bool) -> None:
    entry = products.described(tmp_path, programs=["/usr/bin/falco"])
    assert processes.may_be(entry, name) is expected
