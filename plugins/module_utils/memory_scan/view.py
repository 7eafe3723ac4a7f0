# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks see: one process at a time, and the host around it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import (
    Mapping,
    Pages,
    Process,
    Sign,
    Thread,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import Options


class GoneError(Exception):
    """The process ended, or runs another program by now."""


class View(t.Protocol):
    """One process while it is looked at. Every method raises GoneError when it isn't that process any more."""

    @property
    def process(self) -> Process:
        """Return what was read of it first."""

    @property
    def maps(self) -> t.Sequence[Mapping]:
        """Return its mappings, read when first asked for; empty where they can't be read, which the coverage says."""

    def entry(self, bits: int) -> int:
        """Return the address at which its program was started, one of 32 or 64 bits; 0 where that isn't known."""

    def loader(self, bits: int) -> int:
        """Return the address of its dynamic loader; 0 where it was started without one, or that isn't known."""

    def maps_again(self) -> t.Sequence[Mapping]:
        """Return its mappings as they are now."""

    def pages(self, mapping: Mapping) -> Pages:
        """Return what of a mapping is in memory."""

    def threads(self) -> t.Sequence[Thread]:
        """Return where its threads are, of those that are not running in this moment."""

    def read(self, start: int, length: int) -> bytes:
        """Return memory, shorter where it ends or the budget does. Only ever asked for pages that are present."""

    def open_mapped(self, mapping: Mapping) -> int | None:
        """Return a descriptor of the file behind a mapping, whatever its name is now; None where that can't be had."""

    def is_refused(self, mapping: Mapping) -> bool:
        """Say whether there are no rights to open the file behind a mapping, so that nothing follows from that."""

    def open_executable(self) -> int | None:
        """Return a descriptor of the executable, also when it is deleted; None where that can't be had."""

    def skip(self, reason: str) -> None:
        """Note in the coverage that something of this process was not looked at."""


class Host(t.Protocol):
    """What checks of a process may want to know of the host."""

    @property
    def processes(self) -> t.Mapping[int, Process]:
        """Return all processes that were seen, by pid; with chosen pids also those that were not chosen."""

    @property
    def content(self) -> t.Any:
        """Return the compiled content."""

    @property
    def options(self) -> Options:
        """Return what the user asked for."""

    @property
    def machine(self) -> str:
        """Return for which machine the kernel is (uname(2))."""

    @property
    def boot_time(self) -> float:
        """Return when ticks began, in seconds since the epoch."""

    def sockets_of(self, process: Process) -> t.Sequence[Socket]:
        """Return the sockets that a process has open."""

    def owner(self, path: bytes) -> str | None:
        """Return the package, with version, that owns a path of the host; None where none does."""

    def as_packaged(self, path: bytes, descriptor: int) -> str | None:
        """Return the package that ships just this content under this path; None where none is known to."""

    def has_digests(self, path: bytes) -> bool:
        """Say whether the package that owns a path records what is in it: without that nothing is as packaged."""

    def seconds_left(self) -> float:
        """Return how much of the time budget is left."""

    def note(self, text: str) -> None:
        """Tell people, in the coverage, how the host was looked at. It leaves nothing out, for which there is skip."""

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        """Return what ``make`` said when first asked for this key in this scan. Keys begin with the check's name."""


Check = t.Callable[[View, Host], t.Iterator[Sign]]
# Of the whole host: yields signs, each with its subject; notes in the coverage what was not looked at.
HostCheck = t.Callable[[Host, t.Callable[[str], None]], t.Iterator[t.Tuple[str, Sign]]]
