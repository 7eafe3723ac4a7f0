# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe what the system shows of a product, independent of the product's own report."""

from __future__ import annotations

import typing as t

# The program of a process is the file at its path; another file is there now; there is none any more.
INTACT, REPLACED, DELETED = "intact", "replaced", "deleted"


class Process(t.NamedTuple):
    """A process that runs a program of a product. program: the printable path.

    contained: it runs in a container. frozen: a signal or its control group has stopped it, so that it does nothing.
    """

    pid: int
    program: str
    state: str
    contained: bool = False
    frozen: bool = False


class Pretender(t.NamedTuple):
    """A process with the name of a product's daemon and another program.

    trusted: only root can change that program, and it has that name. hides: it is deleted, in a place for temporary
    files, or has taken a name that its program does not have.
    """

    pid: int
    name: str
    program: str
    uid: int
    trusted: bool
    hides: bool = False


class Unit(t.NamedTuple):
    """A unit of systemd. installed: its file is there. masked: it can't start. since: when it was masked.

    enabled: it starts at boot.
    """

    name: str
    installed: bool
    masked: bool
    since: float | None = None
    enabled: bool = False


class Seen(t.NamedTuple):
    """One product on this host.

    packages: versions by name. paths: files of it that are there. processes_known: whether the programs of all
    processes could be read, without which nobody can say that it does not run.
    """

    packages: t.Mapping[str, str] = {}
    units: t.Sequence[Unit] = ()
    processes: t.Sequence[Process] = ()
    sockets: t.Sequence[str] = ()
    paths: t.Sequence[str] = ()
    processes_known: bool = True

    @property
    def is_there(self) -> bool:
        return bool(self.packages or self.processes or self.paths or any(unit.installed for unit in self.units))

    @property
    def is_running(self) -> bool | None:
        """None: it could not be seen. A product whose processes are all frozen does not run."""
        if self.processes:
            return not all(process.frozen for process in self.processes)
        return False if self.processes_known else None

    @property
    def is_disabled(self) -> bool:
        """Say whether it has units, and none of them starts at boot."""
        return bool(self.units) and not any(unit.enabled for unit in self.units)

    @property
    def masked(self) -> Unit | None:
        """The unit that keeps it from starting: none of its installed units can start."""
        if any(unit.installed and not unit.masked for unit in self.units):
            return None
        return next((unit for unit in self.units if unit.masked), None)
