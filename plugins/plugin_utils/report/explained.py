# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that packages explain: no findings, and yet to be reviewed, for a package can be forged."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted

_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Group:
    """What one thing explains of a capability, on all these hosts together. examples: the first of what changed."""

    capability: str
    by: str
    count: int
    hosts: tuple[str, ...]
    examples: tuple[str, ...]


def groups(entries: t.Iterable[model.Coverage]) -> tuple[Group, ...]:
    """Return what explains changes. What does on the fewest hosts comes first: nobody else has that package."""
    alike: dict[tuple[str, str], list[tuple[str, model.Explained]]] = collections.defaultdict(list)
    for entry in entries:
        for explained in entry.explained:
            alike[entry.capability, explained.by].append((entry.host, explained))
    found = [
        Group(
            capability,
            by,
            sum(explained.count for _host, explained in same),
            tuple(dict.fromkeys(host for host, _explained in same)),
            tuple(dict.fromkeys(example for _host, explained in same for example in explained.examples))[:_SHOWN],
        )
        for (capability, by), same in alike.items()
    ]
    return tuple(sorted(found, key=lambda group: (len(group.hosts), -group.count, group.by, group.capability)))


def sentence(entries: t.Sequence[model.Coverage]) -> str:
    """Return how many changes are explained, or nothing: ``31 changes on 2 hosts are explained by packages``."""
    number = sum(entry.explained_count for entry in entries)
    hosts = len({entry.host for entry in entries if entry.explained_count})
    verb = "is" if number == 1 else "are"
    where = f" on {counted(hosts, 'host')}" if len({entry.host for entry in entries}) > 1 else ""
    return f"{counted(number, 'change')}{where} {verb} explained by packages" if number else ""
