# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no finding because packages or updates explain it, or people allowed it: yet to be reviewed.

A package can be forged, and somebody else can use what an allowlist allows.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted

_SHOWN = 3
# How what people allowed begins; of anything else packages are the explanation.
ALLOWLIST = "allowlist: "
EXCEPTION = "exception: "
# What others say in VEX documents.
VEX = "said not to be affected by VEX"


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
    """Return how much is explained and by what kind of thing, such as packages; nothing where nothing is."""
    several = len({entry.host for entry in entries}) > 1
    kinds: dict[str, list[model.Coverage]] = {"": [], ALLOWLIST: [], EXCEPTION: [], VEX: []}
    for entry in entries:
        stated = [told for told in entry.explained if told.by.startswith(VEX)]
        number = sum(told.count for told in stated)
        kinds[VEX].append(dataclasses.replace(entry, explained_count=number))
        rest = tuple(told for told in entry.explained if told not in stated)
        kinds[_kind(entry)].append(
            dataclasses.replace(entry, explained=rest, explained_count=entry.explained_count - number)
        )
    parts = [
        _words(kinds[""], several, "change", "explained by packages, updates and the like"),
        _words(kinds[ALLOWLIST], several, "sign", "allowed by allowlists"),
        _words(kinds[EXCEPTION], several, "vulnerability", "accepted by exceptions"),
        _words(kinds[VEX], several, "vulnerability", "said not to affect its packages by VEX documents"),
    ]
    words = ", and ".join(filter(None, parts))
    return f"{words}, which the secure score does not count" if parts[2] or parts[3] else words


def _kind(entry: model.Coverage) -> str:
    begins = (name for name in (ALLOWLIST, EXCEPTION) if any(told.by.startswith(name) for told in entry.explained))
    return next(begins, "")


def _words(entries: t.Sequence[model.Coverage], several: bool, noun: str, why: str) -> str:
    """several: whether there are other hosts, so that it is said on how many."""
    number = sum(entry.explained_count for entry in entries)
    hosts = len({entry.host for entry in entries if entry.explained_count})
    where = f" on {counted(hosts, 'host')}" if several else ""
    plural = "vulnerabilities" if noun == "vulnerability" else ""
    return f"{counted(number, noun, plural)}{where} {'is' if number == 1 else 'are'} {why}" if number else ""
