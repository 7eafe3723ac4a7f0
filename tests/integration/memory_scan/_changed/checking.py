# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two checks alone, on a real process and with the host's real packages."""

from __future__ import annotations

import os
import time
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import changed, injected
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.budget import (
    Budget,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.reader import (
    ProcessView,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content, subtypes


class Seen(t.NamedTuple):
    """signs: with their severities, by subtype. skipped: what was not looked at."""

    signs: dict[str, tuple[Sign, str]]
    skipped: list[str]

    @property
    def severities(self) -> dict[str, str]:
        return {subtype: severity for subtype, (_detail, severity) in self.signs.items()}


class _Host(Host):
    def __init__(self, known: t.Mapping[int, Process]) -> None:
        self._known = known
        self._files = Files()
        self._remembered: dict[t.Hashable, t.Any] = {}

    @property
    def processes(self) -> t.Mapping[int, Process]:
        return self._known

    @property
    def content(self) -> t.Any:
        return types.SimpleNamespace(engines=catalogue.read(content.DIRECTORY / "engines.yml"))

    @property
    def machine(self) -> str:
        return os.uname().machine

    @property
    def boot_time(self) -> float:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def sockets_of(self, process: Process) -> t.Sequence[Socket]:
        return ()

    def owner(self, path: bytes) -> str | None:
        return self._files.owner(path)

    def as_packaged(self, path: bytes, descriptor: int) -> str | None:
        return self._files.as_packaged(path, descriptor)

    def has_digests(self, path: bytes) -> bool:
        return self._files.has_digests(path)

    def seconds_left(self) -> float:
        return float("inf")

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        if key not in self._remembered:
            self._remembered[key] = make()
        return self._remembered[key]


def look(*pids: int) -> Seen:
    """Return what is seen of the first of some processes that a test started; the others are known to the host."""
    collected = processes.collect(chosen=pids)
    skipped: list[str] = []
    view = ProcessView(collected.processes[pids[0]], Budget(1 << 32), skipped.append, collected.mounts)
    known = subtypes.load()
    host = _Host(collected.processes)
    try:
        found = [*changed.check(view, host), *injected.check(view, host)]
    finally:
        view.close()
        collected.mounts.close()
    assert len({sign.subtype for sign in found}) == len(found), "each thing is said once"
    return Seen({sign.subtype: (sign, sign.severity or known[sign.subtype].severity) for sign in found}, skipped)
