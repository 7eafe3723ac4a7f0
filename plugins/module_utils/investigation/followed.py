# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Know which audit records are about the subject or its family, so that no flood of others takes their place."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import unprintable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.event_decoding import Call
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import Process

# Pids of a subject with very many children and ancestors.
_MOST_PIDS = 5_000
_MOST_ANCESTORS = 64


class Followed:
    """The subject: what it begins with, and what turned out to belong to it. until: when it was over, None for now."""

    def __init__(self, seeds: t.Iterable[str] = (), until: float | None = None) -> None:
        """seeds: ids of nodes."""
        self.until = until
        self._numbers: dict[str, set[int]] = {"process": set(), "session": set(), "account": set()}
        self._paths: set[bytes] = set()
        self._addresses: set[str] = set()
        self._processes: set[Process] = set()
        for seed in seeds:
            self._add(seed)

    def _add(self, seed: str) -> None:
        kind, _colon, value = seed.partition(":")
        number = value.partition("@")[0]
        if kind in self._numbers and number.isdigit():
            self._numbers[kind].add(int(number))
        elif kind == "address":
            self._addresses.add(value)
        elif kind == "file":
            try:
                self._paths.add(unprintable(value))
            except ValueError:
                return

    def fits(self, call: Call) -> bool:
        """Say whether a record is about the subject, by its process, session, account, file or address."""
        pids = self._numbers["process"]
        return (
            call.pid in pids
            or call.ppid in pids
            or (call.session is not None and call.session in self._numbers["session"])
            or call.user in self._numbers["account"]
            or call.exe in self._paths
            or (call.contact is not None and call.contact.address in self._addresses)
            or any(act.path in self._paths for act in call.acts)
            or (call.program is not None and call.program.original in self._paths)
        )

    def take(self, process: Process) -> None:
        """Note a process of a record that fits: what it starts, its ancestors and its session belong to the subject."""
        if process in self._processes or len(self._processes) >= _MOST_PIDS:
            return
        self._numbers["process"].add(process.pid)
        if process.session is not None:
            self._numbers["session"].add(process.session)
        ancestor: Process | None = process
        for _number in range(_MOST_ANCESTORS):
            if ancestor is None or ancestor in self._processes:
                break
            self._processes.add(ancestor)
            ancestor = ancestor.parent

    def has(self, process: Process) -> bool:
        """Say whether a process must stay."""
        return process in self._processes or process.session in self._numbers["session"]
