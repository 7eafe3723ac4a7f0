# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the store has of programs, in columns: a fleet of 10,000 hosts has millions of sightings."""

from __future__ import annotations

import dataclasses
import typing as t
from array import array

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program


@dataclasses.dataclass(frozen=True)
class HostPrograms:
    """The programs of one host; the columns have the same length.

    distribution: its id and major version, such as "debian 12". since, until: from when to when executions are known,
    in seconds since the epoch. days: how many days of that were observed. groups: of the inventory, a hint. roles:
    names of the allowlist files that counted in the newest look.
    programs: indexes into ``Fleet.programs`` (I). first, last (d), days_seen (H), executions (Q): as in Sighting.
    """

    name: str
    distribution: str
    since: float
    until: float
    days: int
    programs: array[int]
    first: array[float]
    last: array[float]
    days_seen: array[int]
    executions: array[int]
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Programs and the hosts that ran them. One file has a program for each content and version that it had."""

    programs: t.Sequence[Program]
    hosts: t.Sequence[HostPrograms]
