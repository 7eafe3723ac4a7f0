# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc says of containers: their processes, by control group, and what they have mounted."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.containers import control_groups
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import host, mounts, processes
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Container, Engine, Mounted

# Lines of mountinfo by device.
_Mounts = t.Mapping[bytes, t.Sequence[bytes]]
# Of all containers: an engine that is none may name the same process as often as it likes.
_MOST_PROCESSES = 50_000
# Of one container, which has some tens of them.
_MOST_MOUNTS = 5_000
_ID = re.compile(r"[0-9a-f]{64}\Z")


class Insides:
    """Completes the containers of all engines of a host, as far as time allows."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._left = _MOST_PROCESSES
        self._namespaces: dict[str, list[int]] | None = None
        self.contained = processes.contained()
        self._describer = processes.Describer()
        # Those of process 1 may be of another root, as in a container.
        self._here = _by_device(processes.mountinfo_here())

    def completed(self, engine: Engine) -> Engine:
        """Return an engine with what /proc says of its containers."""
        if engine.containers is None:
            return engine
        # Of an engine with mounts of its own, such as a rootless one, containers have what lies there.
        own = {} if processes.shares_mounts(engine.pid) else _by_device(processes.mountinfo(engine.pid))
        return engine._replace(containers=tuple(self._completed(each, engine.pid, own) for each in engine.containers))

    def unlisted(self, engines: t.Iterable[Engine], since: int) -> list[str]:
        """Return the ids of the containers that run and that no engine listed.

        since: ticks after the boot; a younger container may have been started after its engine had answered.
        """
        listed = {container.id for engine in engines for container in engine.containers or ()}
        groups = (group for group in self.contained.groups if not host.is_other(group))
        ids = {control_groups.container_of(group) or "" for group in groups} - listed - {processes.own_container()}
        return sorted(
            each
            for each in ids
            if each
            and _ID.match(each)
            and any(processes.runs_since(pid, since) for pid in self.contained.pids.get(each, ()))
        )

    def _completed(self, container: Container, engine: int, own: _Mounts) -> Container:
        if not container.is_running:
            return container._replace(processes=())
        state = container.inspect.get("State")
        first = state.get("Pid") if isinstance(state, dict) else None
        # Anybody who may make control groups can have processes in one that is called as this container's.
        pids = sorted(self.contained.pids.get(container.id, ()), key=lambda pid: pid != first)
        if not pids and isinstance(first, int) and first > 0:
            pids = self._in_namespace_of(first, engine)
        if not pids or self._left <= 0 or self._deadline.passed():
            return container
        described = self._describer.describe(pids)
        self._left -= len(described)
        return container._replace(
            processes=described, mounted=self._mounted(container, first if first in pids else pids[0], own)
        )

    def _in_namespace_of(self, first: int, engine: int) -> list[int]:
        """Return the processes in the PID namespace of one, where that is a container's own."""
        namespace = processes.own_namespace(first, engine)
        if namespace and self._namespaces is None:
            self._namespaces = processes.by_namespace()
        return sorted((self._namespaces or {}).get(namespace, ()), key=lambda pid: pid != first)

    def _mounted(self, container: Container, pid: int, own: _Mounts) -> tuple[Mounted, ...] | None:
        text = processes.mountinfo(pid)
        if not text or text.count(b"\n") > _MOST_MOUNTS:
            return None
        devices = {_device(line) for line in text.split(b"\n")}
        of_host = b"\n".join(
            line for device in sorted(devices) for each in (self._here, own) for line in each.get(device, ())
        )
        return mounts.of_container(of_host, text, _destinations(container))


def _by_device(text: bytes) -> _Mounts:
    found: dict[bytes, list[bytes]] = {}
    for line in text.split(b"\n"):
        found.setdefault(_device(line), []).append(line)
    return found


def _device(line: bytes) -> bytes:
    fields = line.split(b" ", 3)
    return fields[2] if len(fields) > 2 else b""


def _destinations(container: Container) -> frozenset[str]:
    """Return where the engine was asked to mount something."""
    asked = container.inspect.get("Mounts")
    mounted = [mount for mount in asked if isinstance(mount, dict)] if isinstance(asked, list) else []
    paths = [mount.get("Destination") for mount in mounted]
    return frozenset(path for path in paths if isinstance(path, str))
