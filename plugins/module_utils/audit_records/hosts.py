# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that a log has events of: a daemon that collects those of others writes before each line which one it is.

Process ids, serial numbers and clocks are each host's own, so each has its events, its processes and its correlations
for itself.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Joiner
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.not_understood import Unread
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.serials import Serials

# Who can write a log could have one in each line.
_MOST = 100
# How much less of the memory for events that are not complete a host has that is not the log's own, and how many of its
# processes are known and kept.
_SHARE = 16
_MOST_PROCESSES, _MOST_KEPT = 4_000, 500

State = t.Mapping[str, t.Any]


class Host:
    """One host. name: as the log names it, empty for the host that the log is of. events: how many were read."""

    def __init__(self, name: str, state: State, unread: Unread) -> None:
        """state: as ``state`` returned it."""
        self.name = name
        self.joiner = Joiner(
            state.get("pending", ()), Serials(state.get("serials")), unread, hosts=_SHARE if name else 1
        )
        kept = state.get("processes", ())
        self.processes = Processes(kept, _MOST_PROCESSES, _MOST_KEPT) if name else Processes(kept)
        self.events = 0
        self.last_time: float = state.get("last_time", 0.0)

    def state(self) -> dict[str, t.Any]:
        """Return what the next run goes on from."""
        return {
            "pending": self.joiner.state(),
            "serials": self.joiner.serials.state(),
            "processes": self.processes.state(),
            "last_time": self.last_time,
        }


class Hosts:
    """The hosts of a log. own: the one that the log is of."""

    def __init__(self, state: State, names: t.Collection[str], unread: Unread) -> None:
        """state: as ``state`` returned it. names: how the log's own host may be called in it, in lower case."""
        self._names = {name.lower() for name in names}
        # With its domain, which this host may not know itself: only one name can be that.
        self._long_name: str | None = None
        self._unread = unread
        self.own = Host("", state, unread)
        self._others = {name: Host(name, each, unread) for name, each in list(state.get("nodes", {}).items())[:_MOST]}
        self._nodes: dict[bytes, Host] = {}

    def __iter__(self) -> t.Iterator[Host]:
        yield self.own
        yield from self._others.values()

    def of(self, node: bytes) -> Host | None:
        """Return the host that a log names so; None where there are too many."""
        host = self._nodes.get(node)
        if host is None:
            name = printable(node)
            host = self.own if not node or self._is_own(name.lower()) else self._others.get(name)
            if host is None:
                if len(self._others) >= _MOST:
                    return None
                host = self._others[name] = Host(name, {}, self._unread)
            if len(self._nodes) < 2 * _MOST:
                self._nodes[node] = host
        return host

    def _is_own(self, name: str) -> bool:
        if name in self._names:
            return True
        if name.partition(".")[0] in self._names and self._long_name in (None, name):
            self._long_name = name
            return True
        return False

    def state(self) -> dict[str, t.Any]:
        return {**self.own.state(), "nodes": {name: host.state() for name, host in self._others.items()}}
