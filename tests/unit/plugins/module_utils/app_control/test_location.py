# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that ran in other root directories and mount namespaces, of a made-up /proc that shows real files."""

from __future__ import annotations

import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import FileId
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.location import Location, locate
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import OTHER_ROOT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots

from tests.unit.plugins.module_utils.app_control.executions import program

ELSEWHERE = os.fsencode(OTHER_ROOT)
NO_DEVICE = (254, 99)
# After whatever a test makes: the module may be imported long before its tests run.
LATER = time.time() + 86_400


class Host:
    """A host with other roots."""

    def __init__(self, path: pathlib.Path) -> None:
        self.proc = path / "proc"
        self.process(1, "host", pathlib.Path("/"), self.line("/", "/"))

    def process(self, pid: int, namespace: str, root: pathlib.Path, *mounts: str) -> None:
        folder = self.proc / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "ns/mnt").symlink_to(f"mnt:[{namespace}]")
        (folder / "root").symlink_to(root)
        (folder / "cgroup").write_text("0::/\n")
        (folder / "mountinfo").write_text("".join(mounts))

    def line(self, root: str | pathlib.Path, point: str | pathlib.Path, device: str = "", kind: str = "ext4") -> str:
        number = os.stat("/").st_dev
        return f"30 20 {device or f'{os.major(number)}:{os.minor(number)}'} {root} {point} rw - {kind} none rw\n"

    def locate(self, path: str | pathlib.Path, file: FileId, at: float | None = LATER) -> Location:
        return locate(Roots({}, str(self.proc)), os.fsencode(path), file, at)


@pytest.fixture(name="host")
def _host(tmp_path: pathlib.Path) -> Host:
    if tmp_path.stat().st_dev != os.stat("/").st_dev:
        pytest.skip("temporary files are on another file system than /")
    return Host(tmp_path)


def identity(path: pathlib.Path) -> FileId:
    status = path.stat()
    return os.major(status.st_dev), os.minor(status.st_dev), status.st_ino


def on_no_device(path: pathlib.Path) -> FileId:
    return (*NO_DEVICE, path.stat().st_ino)


def test_a_file_of_the_host(host: Host, tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "bin/tool")
    assert host.locate(tool, identity(tool)) == Location(bytes(tool))


def test_what_was_replaced_or_deleted_is_of_the_host(host: Host, tmp_path: pathlib.Path) -> None:
    """An intruder who puts the original back must not make another file of what ran."""
    tool = program(tmp_path / "bin/tool")
    ran = identity(tool)
    at = time.time()
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "other").replace(tool)
    assert host.locate(tool, ran, at) == Location(bytes(tool))
    tool.unlink()
    assert host.locate(tool, ran) == Location(bytes(tool))


def test_what_cannot_be_the_file_of_the_host_is_of_another_root(host: Host, tmp_path: pathlib.Path) -> None:
    tool, other = program(tmp_path / "bin/tool"), program(tmp_path / "root/tool")
    assert host.locate(tool, identity(other)) == Location(ELSEWHERE + bytes(tool), ELSEWHERE)
    # A script may have been found by a link that leads elsewhere now.
    assert host.locate(tool, identity(other), None) == Location(bytes(tool))


def test_another_device_is_never_the_host(host: Host, tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "bin/tool")
    for path in (tool, tmp_path / "bin/gone"):
        for at in (LATER, 0.0, None):
            assert host.locate(path, on_no_device(tool), at) == Location(ELSEWHERE + bytes(path), ELSEWHERE)


def test_the_root_of_a_running_process(host: Host, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "chroot"
    tool = program(root / "usr/bin/env")
    host.process(7, "host", root)
    assert host.locate("/usr/bin/env", identity(tool)) == Location(bytes(tool), bytes(root))
    # Another file in that root.
    assert host.locate("/usr/bin/env", identity(program(root / "other"))).path == ELSEWHERE + b"/usr/bin/env"


def test_a_directory_that_is_mounted_elsewhere(host: Host, tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "runtime/bin/env")
    host.process(7, "other", pathlib.Path("/"), host.line("/", "/"), host.line(tmp_path / "runtime", "/usr"))
    assert host.locate("/usr/bin/env", identity(tool)) == Location(bytes(tool))


def test_a_file_that_is_mounted_over_another(host: Host, tmp_path: pathlib.Path) -> None:
    own = program(tmp_path / "own")
    host.process(7, "other", pathlib.Path("/"), host.line("/", "/"), host.line(own, "/usr/bin/env"))
    assert host.locate("/usr/bin/env", identity(own)) == Location(bytes(own))


def test_a_device_that_the_host_has_elsewhere(host: Host, tmp_path: pathlib.Path) -> None:
    """Processes of snaps have the root directory of a mounted image."""
    tool = program(tmp_path / "snap/core/1/usr/bin/env")
    with (host.proc / "1/mountinfo").open("a") as stream:
        stream.write(host.line("/", tmp_path / "snap/core/1", "%d:%d" % NO_DEVICE, "squashfs"))
    expected = Location(bytes(tool), os.fsencode(tmp_path / "snap/core/1"))
    assert host.locate("/usr/bin/env", on_no_device(tool)) == expected
    assert host.locate("/snap/usr/bin/env", on_no_device(tool)) == Location(bytes(tool))


def test_file_systems_that_may_never_answer(host: Host, tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "merged/opt/tool")
    device = "%d:%d" % NO_DEVICE
    mounts: t.Final = (host.line("/", "/", "0:99", "fuse.sshfs"), host.line("/", "/opt", device, "tmpfs"))
    host.process(7, "other", pathlib.Path("/"), *mounts)
    candidates = Roots({}, str(host.proc)).others.candidates(b"/opt/tool", NO_DEVICE)
    assert not [each for each in candidates if not each.is_own]
    assert host.locate("/opt/tool", on_no_device(tool)).opened == b""
