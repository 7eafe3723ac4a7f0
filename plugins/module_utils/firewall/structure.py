# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what is wrong with a table of ours besides its rules: flags, chains and sets, and what is in the set ``trial``.

A table that is dormant sees no packet, and an element of ``trial`` that does not expire leads packets to rules that
nobody confirmed, for ever. Both leave every rule as it was.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import trial
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, Objects

# Seconds that a trial runs at most.
LONGEST_TRIAL = 3600
_DORMANT = "its table is dormant, so that no packet gets to its rules"
_NOT_COMPARED = ("handle", "elem", "table")


class Tried(t.NamedTuple):
    """Rules on trial, as the state has them noted; token: of that trial."""

    rules: trial.Rules
    token: str


def problem(objects: Objects, elements: t.Sequence[Element], tried: Tried | None) -> str | None:
    """Return what is wrong with flags and trial of a table, None where nothing is. elements: of its set ``trial``.

    tried: the trial that the state knows of.
    """
    return flags(objects) or _trial(objects, elements, tried)


def flags(objects: Objects) -> str | None:
    """Return what is wrong with the flags of a table; ours have none."""
    names = _flags(objects)
    if "dormant" in names:
        return _DORMANT
    return "its table has the flag %s, which somebody has given it" % ", ".join(names) if names else None


def _flags(objects: Objects) -> list[str]:
    given = [entry["table"].get("flags", ()) for entry in objects if "table" in entry]
    return [str(name) for one in given for name in ([one] if isinstance(one, str) else one)]


def _trial(objects: Objects, elements: t.Sequence[Element], tried: Tried | None) -> str | None:
    if not elements:
        return None
    if any(one.left is None or one.left > LONGEST_TRIAL for one in elements):
        return "its set 'trial' has an element that does not expire, so that rules are in force that nobody confirmed"
    force = trial.read(objects, elements)
    if tried is None or force.token is None or (force.proposed, force.token) != (tried.rules.digest, tried.token):
        return "its set 'trial' has elements without a trial, so that rules are in force that nobody proposed"
    return None


def is_sound(objects: Objects, wanted: Objects) -> bool:
    """Say whether rules can be exchanged in a table, or it has to be made afresh.

    wanted: a table as it is to be. What only one of the two has is no hindrance: it is added, or removed in the end.
    Nor is a table that is dormant, as it wakes up then.
    """
    if set(_flags(objects)) - {"dormant"}:
        return False
    mine, ours = _named(objects), _named(wanted)
    if any(fields != ours[place] for place, fields in mine.items() if place in ours):
        return False
    # Chains of hooks that are not wanted now, whose names are in use for others.
    hooks = {name: fields.get("hook") for (kind, name), fields in mine.items() if kind == "chain"}
    return all(hook == (name if name in trial.HOOKS else None) for name, hook in hooks.items() if _is_known(name))


def _is_known(name: str) -> bool:
    return name.replace("confirmed_", "", 1).replace("proposed_", "", 1) in trial.HOOKS


def _named(objects: Objects) -> dict[tuple[str, str], dict[str, t.Any]]:
    return {
        (kind, str(fields.get("name"))): {part: value for part, value in fields.items() if part not in _NOT_COMPARED}
        for entry in objects
        for kind, fields in entry.items()
        if kind not in ("table", "rule")
    }
