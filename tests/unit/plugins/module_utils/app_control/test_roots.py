# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of a made-up /proc: which files are theirs, and what their images are called."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

ID = "0123456789abcdef" * 4
MOUNTS = (
    "20 1 254:0 / / rw - ext4 /dev/vda1 rw\n"
    "30 20 0:40 / /data rw - btrfs /dev/vdb rw\n"
    "31 20 0:41 / /net rw - nfs4 server:/ rw\n"
)


def make(proc: pathlib.Path, pid: int, root: pathlib.Path, group: str = "/", mounts: str = MOUNTS) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "root").symlink_to(root)
    (folder / "cgroup").write_text(f"0::{group}\n")
    (folder / "mountinfo").write_text(mounts)
    (folder / "stat").write_text(f"{pid} (a) b) S 1 {'0 ' * 17}{100 * os.sysconf('SC_CLK_TCK')} 0\n")
    (proc / "stat").write_text("cpu 1\nbtime 1000\n")


def made(tmp_path: pathlib.Path, state: t.Mapping[str, t.Any] | None = None, boot: str = "one") -> Roots:
    proc = tmp_path / "proc"
    if not proc.exists():
        make(proc, 1, pathlib.Path("/"))
        # The host's own root, and a name of a group that anybody may choose.
        make(proc, 5, pathlib.Path("/"), f"/system.slice/docker-{ID}.scope")
        # A root of its own, on a device of its own.
        hostname = f"99 98 254:0 {tmp_path}/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n"
        volumes = "100 98 0:77 / /tmp rw - tmpfs tmpfs rw\n101 98 0:78 / /proc rw - proc proc rw\n"
        make(proc, 7, pathlib.Path("/proc"), f"/system.slice/docker-{ID}.scope", hostname + volumes)
        # A directory of the host's.
        make(proc, 9, tmp_path, "/machine.slice/systemd-nspawn@web.service")
    (proc / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (proc / "sys/kernel/random/boot_id").write_text(boot)
    return Roots(state or {}, str(proc))


def device_of(path: str) -> tuple[int, int]:
    device = os.stat(path).st_dev
    return os.major(device), os.minor(device)


def test_containers(tmp_path: pathlib.Path) -> None:
    configuration = tmp_path / f"docker/containers/{ID}/config.v2.json"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(json.dumps({"Config": {"Image": "shop\n:1"}}))
    roots = made(tmp_path)
    docker = roots.container_on(device_of("/proc"), b"/bin/x")
    assert docker is not None
    assert (docker.image, docker.pid) == ("shop\\n:1", 7)
    assert roots.container_of(b"7") == docker
    assert roots.container_of(b"5") is None
    assert roots.container_of(b"1") is None
    # What ran before the process was started had its id before it.
    assert roots.container_of(b"7", 1_100.0) == docker
    assert roots.container_of(b"7", 1_099.0) is None
    nspawn = roots.container_of(b"9")
    assert nspawn is not None
    assert nspawn.image == "web"


def test_what_is_mounted_in_a_container(tmp_path: pathlib.Path) -> None:
    roots = made(tmp_path)
    assert roots.container_on((0, 77), b"/bin/x") == roots.container_of(b"7")
    assert roots.container_on((0, 78), b"/bin/x") is None
    # The host's own file system, a directory of which is mounted there.
    assert roots.container_on((254, 0), b"/bin/x") is None


def test_a_file_of_a_container_that_the_host_runs(tmp_path: pathlib.Path) -> None:
    major, minor = device_of("/proc")
    made(tmp_path)
    with (tmp_path / "proc/1/mountinfo").open("a") as stream:
        stream.write(f"40 20 {major}:{minor} / /var/lib/docker/merged rw - overlay overlay rw\n")
    roots = made(tmp_path)
    assert roots.container_on((major, minor), b"/bin/x") is not None
    assert roots.container_on((major, minor), b"/var/lib/docker/merged/bin/x") is None


def test_a_file_system_of_the_host_is_no_container(tmp_path: pathlib.Path) -> None:
    """Every account can name a control group, and make a directory of /tmp or /home the root of a process."""
    proc = tmp_path / "proc"
    major, minor = device_of("/proc")

    def container_there(mounts: str) -> bool:
        shutil.rmtree(proc, ignore_errors=True)
        make(proc, 1, pathlib.Path("/"), mounts=MOUNTS + mounts)
        make(proc, 7, pathlib.Path("/proc"), f"/user.slice/user@1000.service/docker-{ID}.scope")
        roots = made(tmp_path)
        assert roots.container_of(b"7") is not None
        return roots.container_on((major, minor), b"/bin/x") is not None

    assert not container_there(f"40 20 {major}:{minor} / /tmp rw - tmpfs tmpfs rw\n")
    # Engines mount the roots of containers for themselves.
    assert container_there(f"40 20 {major}:{minor} / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw\n")
    assert container_there(f"40 20 {major}:{minor} / /run/containerd/k8s.io/{ID}/rootfs rw - ext4 /dev/dm-7 rw\n")


def test_a_configuration_of_an_intruder(tmp_path: pathlib.Path) -> None:
    """Whoever mounts a file at /etc/hostname of its own root chooses where the configuration is looked for."""
    configuration = tmp_path / f"docker/containers/{ID}/config.v2.json"
    configuration.parent.mkdir(parents=True)
    for content in ("[" * 200_000, '{"Config": ["Image"]}', '"' * 7):
        configuration.write_text(content)
        shutil.rmtree(tmp_path / "proc", ignore_errors=True)
        docker = made(tmp_path).container_of(b"7")
        assert docker is not None
        assert docker.image == ID[:12]


def test_an_image_without_a_name(tmp_path: pathlib.Path) -> None:
    docker = made(tmp_path).container_of(b"7")
    assert docker is not None
    assert docker.image == ID[:12]


def test_a_container_that_has_ended(tmp_path: pathlib.Path) -> None:
    roots = made(tmp_path)
    device = device_of("/proc")
    state = json.loads(json.dumps(roots.state()))
    (tmp_path / "proc/7/root").unlink()
    later = made(tmp_path, state)
    assert later.container_on(device, b"/bin/x") is None
    assert later.former_image(device, None, "?", 1_200.0) == ID[:12]
    # After a boot, another file system has the number.
    assert made(tmp_path, state, "two").former_image(device, None, "?", 1_200.0) == ""


def test_a_device_that_a_container_had_before_or_gets_afterwards(tmp_path: pathlib.Path) -> None:
    made(tmp_path)
    (tmp_path / "proc/1/stat").write_text(f"1 (init) S 0 {'0 ' * 18}0\n")
    roots = made(tmp_path)
    root, volume = device_of("/proc"), (0, 77)
    docker = roots.container_of(b"7")
    assert docker is not None
    first = Process(b"1", b'"/sbin/init"', b"", b"", None, 0)
    sshd = Process(b"3", b'"/usr/sbin/sshd"', b"", b"", first, 1)
    shim = Process(b"3", b'"/usr/bin/containerd-shim-runc-v2"', b"", b"", first, 1)
    inside = Process(b"7", b'"/sbin/init"', b"", b"", first, 1)
    # It began at 1,100 seconds.
    for parent, before, since in ((sshd, False, False), (shim, True, True), (inside, False, True), (None, True, True)):
        assert roots.had(docker, root, parent, 1_099.0) is before
        assert roots.had(docker, volume, parent, 1_099.0) is before
        assert roots.had(docker, volume, parent, 1_101.0) is since
        assert roots.had(docker, root, parent, 1_101.0)
    state = json.loads(json.dumps(roots.state()))
    (tmp_path / "proc/7/root").unlink()
    ended = made(tmp_path, state)
    assert ended.former_image(root, shim, "?", 1_200.0) == ID[:12]
    assert ended.former_image(root, sshd, "?", 1_200.0) == ""
    # The host has mounted something else that has the number now.
    with (tmp_path / "proc/1/mountinfo").open("a") as stream:
        stream.write(f"40 20 {root[0]}:{root[1]} / /data rw - tmpfs tmpfs rw\n")
    assert made(tmp_path, state).former_image(root, shim, "?", 1_200.0) == ""


def test_what_is_not_mounted_any_more(tmp_path: pathlib.Path) -> None:
    roots = made(tmp_path)
    shim = Process(b"3", b'"/usr/bin/containerd-shim-runc-v2"', b"", b"", None, 0)
    shell = Process(b"4", b'"/bin/sh"', b"", b"", shim, 1)
    assert roots.former_image((0, 99), shell, "?", 1_200.0) == "?"
    assert roots.former_image((0, 99), Process(b"4", b'"/bin/sh"', b"", b"", None, 0), "?", 1_200.0) == ""
    assert roots.former_image((0, 40), shell, "?", 1_200.0) == ""


def test_file_systems_of_other_machines(tmp_path: pathlib.Path) -> None:
    roots = made(tmp_path)
    assert [roots.is_foreign(path) for path in (b"/net/x", b"/network/x", b"/data/x", b"/x")] == [True, *[False] * 3]


def test_devices_of_subvolumes(tmp_path: pathlib.Path) -> None:
    roots = made(tmp_path)
    status = os.stat("/proc")
    assert roots.is_on(b"/x", device_of("/proc"), status)
    assert roots.is_on(b"/data/x", (0, 40), status)
    assert not roots.is_on(b"/datax", (0, 40), status)
    assert roots.is_on(b"/datax", (254, 0), status)
