# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sockets of all networks in which a process was seen, and whose they are."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _net_sockets
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import MOST_SOCKETS, Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import OpenFile, Process


class Table(t.NamedTuple):
    """sockets: by inode. skipped: networks or files of them that could not be read to the end, with the reason."""

    sockets: dict[int, Socket]
    skipped: list[tuple[str, str]]

    def of(self, process: Process) -> list[Socket]:
        """Return the sockets that a process has open."""
        numbers = (inode_of(file) for file in process.files)
        return [self.sockets[number] for number in numbers if number in self.sockets]


def inode_of(file: OpenFile) -> int:
    """Return the number of the socket that a descriptor stands for; 0 where it is none."""
    return _net_sockets.inode_of(file.target)


def read(processes: t.Mapping[int, Process], root: str = "/proc", most: int = MOST_SOCKETS) -> Table:
    """Return the sockets of each network that one of these processes is in, at most so many."""
    guides: dict[int, list[int]] = {}
    for process in processes.values():
        if "net" in process.namespaces:
            guides.setdefault(process.namespaces["net"], []).append(process.pid)
    return Table(*_net_sockets.read(guides, root, most))
