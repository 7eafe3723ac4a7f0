# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell the host's files from those of containers, by the device of a file and by the processes that live there.

An audit record has no container. But the file system of a container is a device of its own in most engines, and the
kernel writes the device of each file that is executed. Control groups and the files of engines only give a name to
what has another root than the host's.

The kernel gives the number of a device anew as soon as its file system is gone (get_anon_bdev() of fs/super.c). What an
account mounts for itself can so have the number that a container had before, or gets afterwards. A process that comes
from one that runs on the host, and from nothing that starts containers, is the host's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import file_systems, plain
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.other_roots import (
    Device,
    OtherRoots,
    device_in,
    is_below,
    mounts_of,
)
from ansible_collections.bulwark.servers.plugins.module_utils.containers import control_groups

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

_MOST_PROCESSES = 8_000
_MOST_BYTES = 1 << 20
_MOST_DEVICES = 1_000
_SHORT = 12
# Of an image; the store takes four times as much, for escapes.
_LONGEST_NAME = 120
# Of what follows the name in proc_pid_stat(5).
_STARTED = 19
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# Where engines keep the configuration of a container: %s is its id.
_DOCKER = "/var/lib/docker/containers/%s/config.v2.json"
_RUNTIMES = (
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json",
    "/run/containers/storage/overlay-containers/%s/userdata/config.json",
)
# What a file of another shape raises, such as one that is nested too deeply.
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_ANNOTATIONS = ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName", "io.container.image")
# What starts the first process of a container. A container that ended is known by it, and by a device that is gone.
_STARTERS = re.compile(
    rb"/(?:runc|crun|youki|conmon|containerd-shim[\w-]*|docker-init|lxc-start|lxd|incusd|systemd-nspawn)\"?\Z"
)

# Engines mount the root of a container for themselves, too: as one of these, or below a directory with its id.
_UNIONS = frozenset(("overlay", "aufs", "fuse.fuse-overlayfs"))

# File systems of the kernel's own, which have no programs.
_WITHOUT_FILES = frozenset((b"proc", b"sysfs", b"cgroup", b"cgroup2", b"devpts", b"mqueue"))


class Container(t.NamedTuple):
    """A container that runs. pid: a process in it. device: of its root, None where that is a directory of the host."""

    image: str
    pid: int
    device: Device | None


class Roots:
    """The root directories of this moment, and the containers of earlier looks."""

    def __init__(self, state: t.Mapping[str, t.Any], proc: str = "/proc") -> None:
        """state: as ``state`` returned it."""
        self._proc = proc
        self._boot = _boot(proc)
        saved = state.get("devices", ()) if state.get("boot") == self._boot else ()
        self._former: dict[Device, str] = {(major, minor): image for major, minor, image in saved}
        self.containers: dict[str, Container] = {}
        self._devices: dict[Device, Container] = {}
        # Of what else is mounted in containers, such as a tmpfs at /tmp.
        self._volumes: dict[Device, Container] = {}
        self._pids: dict[bytes, tuple[Container, float]] = {}
        self._hosts: set[bytes] = set()
        self._booted = _booted(proc)
        text = _read("%s/1/mountinfo" % proc) or _read("%s/self/mountinfo" % proc)
        mounts = mounts_of(text)
        self._points: dict[bytes, Device] = {mount.point: mount.device for mount in mounts}
        self._mounted = set(self._points.values())
        self._foreign = {point for point, mount in {mount.point: mount for mount in mounts}.items() if mount.is_foreign}
        unions = (point for point, kind in file_systems(text).items() if kind in _UNIONS)
        self._unions = {self._points[point] for point in unions if point in self._points}
        self.others = OtherRoots(proc, mounts)
        self._images: dict[str, str] = {}
        self._scan()

    def state(self) -> dict[str, t.Any]:
        known = {**self._former, **{device: container.image for device, container in self._devices.items()}}
        return {"boot": self._boot, "devices": [[*device, image] for device, image in known.items()][-_MOST_DEVICES:]}

    def container_of(self, pid: bytes, time: float | None = None) -> Container | None:
        """Return the container of a process that runs. time: when it has to have run already, None for now.

        Whoever executes something could leave its process id to a container.
        """
        container, started = self._pids.get(pid, (None, 0.0))
        return container if time is None or started <= time else None

    def container_on(self, device: Device, path: bytes) -> Container | None:
        """Return the container that has a device; None where a path of the host itself leads there."""
        if self._points.get(self._point(path)) == device:
            return None
        return self._devices.get(device) or self._volumes.get(device)

    def had(self, container: Container, device: Device, parent: Process | None, time: float) -> bool:
        """Say whether a container had its device already when a process with this parent executed a file of it."""
        _container, began = self._pids[b"%d" % container.pid]
        # Of what else is mounted in it, nobody knows since when.
        return (device == container.device and began <= time) or not self._is_from_host(parent, time)

    def _is_from_host(self, parent: Process | None, time: float) -> bool:
        """Say whether it is certain that a process with this parent was in no container."""
        while parent is not None:
            if _STARTERS.search(parent.exe) or self.container_of(parent.pid, time) is not None:
                return False
            if parent.pid in self._hosts and self._started(parent.pid.decode("ascii")) <= time:
                return True
            parent = parent.parent
        return False

    def former_image(self, device: Device, parent: Process | None, unknown: str, time: float) -> str:
        """Return the image of a container that has ended; "" for a file of the host. unknown: where it has no name.

        parent: of the process that executed the file. time: when it did.
        """
        if device in self._mounted:
            return ""
        if device in self._former:
            return "" if self._is_from_host(parent, time) else self._former[device]
        while parent is not None:
            if _STARTERS.search(parent.exe):
                return unknown
            parent = parent.parent
        return ""

    def is_on(self, path: bytes, device: Device, status: os.stat_result) -> bool:
        """Return whether a file of the host is on a device as audit records name it.

        Subvolumes of btrfs have a number of their own for stat(2), and that of the mount in records.
        """
        if device == (os.major(status.st_dev), os.minor(status.st_dev)):
            return True
        point = self._point(path)
        return bool(point) and self._points[point] == device

    def has_device(self, path: bytes, device: Device) -> bool:
        """Return whether a path of the host leads to a device, even if no file lies there any more."""
        while not os.path.lexists(path) and path != b"/":
            path = os.path.dirname(path)
        try:
            return self.is_on(path, device, os.lstat(path))
        except OSError:
            return False

    def is_foreign(self, path: bytes) -> bool:
        """Return whether a path of the host is on a file system of another machine, or of a program."""
        return bool(self._foreign) and self._point(path) in self._foreign

    def _point(self, path: bytes) -> bytes:
        """Return the mount point that a path is below."""
        return max((point for point in self._points if is_below(path, point)), key=len, default=b"")

    def _scan(self) -> None:
        """Find the processes whose root is not the host's."""
        own = _identity("%s/1/root" % self._proc) or _identity("/")
        names = sorted((name for name in _names(self._proc) if name.isdigit()), key=int)
        for name in names[:_MOST_PROCESSES]:
            root = _identity("%s/%s/root" % (self._proc, name))
            group = None
            if root is not None and root != own:
                group = control_groups.parse(_read("%s/%s/cgroup" % (self._proc, name)))
            if root is None or group is None or group.container is None:
                self.others.add(name)
                self._hosts.add(name.encode("ascii"))
                continue
            device = (os.major(root[0]), os.minor(root[0]))
            container = self.containers.get(group.container)
            if container is None:
                # A directory of the host is on its device, which says nothing then.
                is_hosts = (own is not None and root[0] == own[0]) or self._is_hosts(device, group.container)
                own_device = None if is_hosts else device
                container = Container(self._image(group.container, name), int(name), own_device)
                self.containers[group.container] = container
                for volume in _devices("%s/%s/mountinfo" % (self._proc, name)) - self._mounted:
                    self._volumes.setdefault(volume, container)
            self._pids[name.encode("ascii")] = container, self._started(name)
            if container.device is not None:
                self._devices.setdefault(container.device, container)

    def _started(self, pid: str) -> float:
        """Return when a process was started, in seconds since the epoch; infinite for one that is gone."""
        return self._booted + _ticks("%s/%s/stat" % (self._proc, pid)) / os.sysconf("SC_CLK_TCK")

    def _is_hosts(self, device: Device, container: str) -> bool:
        """Return whether the host has a file system for itself.

        Every account can make a directory of it the root of a process, in a control group with the name of a container.
        """
        return device not in self._unions and any(
            other == device and os.fsencode(container) not in point.split(b"/")[1:]
            for point, other in self._points.items()
        )

    def _image(self, name: str, pid: str) -> str:
        """Return the name of a container's image as its engine has it; else the beginning of the container's id."""
        candidates = [_DOCKER % name, *self._hints(name, pid)]
        for path in candidates:
            with contextlib.suppress(*_DAMAGED):
                return printable(str(json.loads(_read(path))["Config"]["Image"])[:_LONGEST_NAME])
        for form in _RUNTIMES:
            with contextlib.suppress(*_DAMAGED):
                annotations = json.loads(_read(form % name))["annotations"]
                for annotation in _ANNOTATIONS:
                    if annotations.get(annotation):
                        return printable(str(annotations[annotation])[:_LONGEST_NAME])
        return printable(name[:_SHORT] if re.fullmatch(r"[0-9a-f]{64}", name) else name)

    def _hints(self, name: str, pid: str) -> t.Iterator[str]:
        """Return where a container says that its host keeps its name: Docker mounts such files into it."""
        for line in _read("%s/%s/mountinfo" % (self._proc, pid)).split(b"\n"):
            fields = line.split(b" ")
            ending = b"/containers/%s/hostname" % os.fsencode(name)
            if len(fields) > 4 and fields[4] == b"/etc/hostname" and plain(fields[3]).endswith(ending):
                directory = os.path.dirname(plain(fields[3]))
                device = device_in(fields[2])
                for point, other in self._points.items():
                    if other == device:
                        yield os.fsdecode(point.rstrip(b"/") + directory + b"/config.v2.json")


def _devices(path: str) -> set[Device]:
    """Return the devices of mounts that may have programs. path: of a file as proc_pid_mountinfo(5)."""
    devices = set()
    for line in _read(path).split(b"\n"):
        fields, _dash, others = line.partition(b" - ")
        numbers = fields.split(b" ")
        device = device_in(numbers[2]) if len(numbers) > 4 else None
        if device is not None and others.partition(b" ")[0] not in _WITHOUT_FILES:
            devices.add(device)
    return devices


def _booted(proc: str) -> float:
    """Return when the host was booted, in whole seconds since the epoch; infinite where that is unknown."""
    match = re.search(rb"^btime (\d{1,15})$", _read(proc + "/stat"), re.MULTILINE)
    return float(match.group(1)) if match else float("inf")


def _ticks(path: str) -> float:
    """Return how many ticks after the boot a process was started (proc_pid_stat(5)); infinite for one that is gone."""
    # The name, in parentheses, may hold anything.
    fields = _read(path).rpartition(b")")[2].split()
    return float(fields[_STARTED]) if len(fields) > _STARTED and fields[_STARTED].isdigit() else float("inf")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _boot(proc: str) -> str:
    """Return the id of this boot, "" where it can't be read."""
    with contextlib.suppress(OSError):
        return boot_id(proc)
    return ""


def _read(path: str) -> bytes:
    """Return the beginning of a file, nothing where it can't be read."""
    with contextlib.suppress(OSError), os.fdopen(os.open(path, _OPEN), "rb") as stream:
        return stream.read(_MOST_BYTES)
    return b""
