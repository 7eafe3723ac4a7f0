# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the store returns, besides ``fleet.Fleet``. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program, Sighting


@dataclasses.dataclass(frozen=True)
class ProgramQuery:
    """The sightings to return; what is empty or None doesn't limit.

    hosts, paths, packages: names, in which ``*`` stands for any text and ``?`` for one character. digests: SHA-256.
    since: those that were seen at or after this time. programs: those with exactly these facts. newest: of each program
    only the sightings of so many hosts, the newest.
    """

    hosts: t.Sequence[str] = ()
    paths: t.Sequence[str] = ()
    packages: t.Sequence[str] = ()
    digests: t.Sequence[str] = ()
    kinds: t.Sequence[str] = ()
    since: float | None = None
    programs: t.Sequence[Program] | None = None
    newest: int | None = None
    limit: int | None = None
    offset: int = 0


@dataclasses.dataclass(frozen=True)
class HostSighting:
    """A program on a host; its numbers are those of all looks together."""

    host: str
    sighting: Sighting


@dataclasses.dataclass(frozen=True)
class ProgramHost:
    """A host of which programs are known; the fields are those of ``fleet.HostPrograms``."""

    host: str
    distribution: str
    since: float
    until: float
    days: int
    roles: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class HostsWith:
    """The number of hosts that have a program, and the names of the first twenty, by its digest and by its path.

    Without an entry, no host has it.
    """

    by_digest: t.Mapping[str, tuple[int, tuple[str, ...]]]
    by_path: t.Mapping[str, tuple[int, tuple[str, ...]]]
