# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of real mount namespaces and roots without a container, at the path of a packaged program of the host."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import time
import typing as t
from types import MappingProxyType

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._program import PRESENT, UNPACKAGED, Program
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.files import FileFacts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judge import judge
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import OTHER_ROOT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.reading import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.running import RunningPrograms
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Tallies
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import running

from tests.support.waiting import until
from tests.unit.plugins.module_utils.app_control.executions import execution, path_record

pytestmark = pytest.mark.requires("root", "command:unshare", "command:busybox", "command:dpkg")

TOOL = "/usr/bin/sleep"
RULES = (Rule("base", package="coreutils", manager="dpkg"), Rule("base", directory="/usr/bin"))


@contextlib.contextmanager
def started(*command: str | pathlib.Path) -> t.Iterator[int]:
    """Run a command that ends as the program at the path of sleep(1)."""
    process = subprocess.Popen([*command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _title(process.pid) == [os.fsencode(TOOL), b"600"])
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _title(pid: int) -> list[bytes]:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")


def identified(tallies: Tallies, roots: Roots) -> list[Program]:
    files = FileFacts(roots, Deadline(0))
    return [files.identify(tally.target, tally.last, None, None).program for _identity, tally in tallies]


def looked_at(pid: int) -> Program:
    roots, tallies = Roots({}), Tallies(10)
    processes = [each for each in running() if each.process.pid == b"%d" % pid]
    RunningPrograms(roots, tallies, {}).look(
        processes, time.time(), lambda _process: False, (), lambda _path: True, Deadline(0)
    )
    (program,) = identified(tallies, roots)
    return program


def logged(file: os.stat_result, containers: t.Mapping[str, t.Any] = MappingProxyType({})) -> Program:
    """Return what an execution at the path of sleep(1), in this moment, is taken for. containers: of earlier looks."""
    roots, tallies = Roots(containers), Tallies(10)
    reader = Reader({}, roots, tallies, running=running(), names=("here",))
    reader.read(execution(TOOL, ["sleep", "0"], ppid=os.getpid(), paths=[path_record(0, TOOL, file)]))
    reader.close()
    (program,) = identified(tallies, roots)
    return program


def alert(program: Program) -> str:
    return judge(program, ("root",), Allowlist(("base",), RULES, ()), time.time()).alert


@pytest.fixture(name="copy")
def _copy(tmp_path: pathlib.Path) -> pathlib.Path:
    copy = tmp_path / "root" / TOOL[1:]
    copy.parent.mkdir(parents=True)
    return pathlib.Path(shutil.copy(shutil.which("busybox") or "", copy))


def check_found(program: Program, copy: pathlib.Path) -> None:
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert (program.path, program.sha256, program.content) == (str(copy), digest, PRESENT)
    assert alert(program) == "app_unapproved_program"


def test_the_program_of_the_host() -> None:
    program = logged(os.stat(TOOL))
    assert (program.path, program.package, alert(program)) == (TOOL, "coreutils", "")


def test_a_chroot(tmp_path: pathlib.Path, copy: pathlib.Path) -> None:
    with started("/usr/sbin/chroot", tmp_path / "root", TOOL, "600") as pid:
        check_found(looked_at(pid), copy)
        check_found(logged(copy.stat()), copy)
    # Nobody knows the root any more.
    ended = logged(copy.stat())
    assert (ended.path, alert(ended)) == (OTHER_ROOT + TOOL, "app_unapproved_program")


def test_a_file_that_is_mounted_over_the_program(copy: pathlib.Path) -> None:
    script = "mount --bind $0 $1; exec $1 600"
    with started("unshare", "--mount", "busybox", "sh", "-c", script, copy, TOOL) as pid:
        check_found(looked_at(pid), copy)
        check_found(logged(copy.stat()), copy)


def test_a_file_system_that_the_host_has_not(tmp_path: pathlib.Path, copy: pathlib.Path) -> None:
    script = "mount -t tmpfs none $0; cp $1 $0/sleep; mount --bind $0/sleep $2; exec $2 600"
    (tmp_path / "own").mkdir()
    command = ("unshare", "--mount", "busybox", "sh", "-c", script, tmp_path / "own", copy, TOOL)
    with started(*command) as pid:
        file = os.stat(f"/proc/{pid}/exe")
        for program in (looked_at(pid), logged(file)):
            assert (program.path, program.verification) == (OTHER_ROOT + TOOL, UNPACKAGED)
            assert program.sha256 == hashlib.sha256(copy.read_bytes()).hexdigest()
            assert (program.writers, alert(program)) == (("unknown",), "app_unapproved_program")
    ended = logged(file)
    assert (ended.path, ended.sha256, alert(ended)) == (OTHER_ROOT + TOOL, "", "app_unapproved_program")


def test_a_file_system_with_the_number_that_a_container_had(tmp_path: pathlib.Path, copy: pathlib.Path) -> None:
    """The kernel gives it anew at once: no allowlist of an image says anything of what has it now."""
    script = "mount -t tmpfs none $0; cp $1 $0/sleep; mount --bind $0/sleep $2; exec $2 600"
    (tmp_path / "own").mkdir()
    with started("unshare", "--mount", "busybox", "sh", "-c", script, tmp_path / "own", copy, TOOL) as pid:
        file = os.stat(f"/proc/{pid}/exe")
    device = [os.major(file.st_dev), os.minor(file.st_dev)]
    program = logged(file, {"boot": boot_id("/proc"), "devices": [[*device, "shop:1"]]})
    assert (program.image, program.path, alert(program)) == ("", OTHER_ROOT + TOOL, "app_unapproved_program")
