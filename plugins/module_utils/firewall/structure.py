# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a table of ours besides its rules: its flags, its chains and sets, and who is in the set ``trial``.

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
    for entry in objects:
        given = entry.get("table", {}).get("flags", ())
        names = [given] if isinstance(given, str) else list(given)
        if "dormant" in names:
            return _DORMANT
        if names:
            return "its table has the flag %s, which somebody has given it" % ", ".join(map(str, names))
    return None


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

    wanted: a table as it is to be. Sets and chains that only one of the two has are no hindrance, unless a chain is one
    that a version of ours would not make.
    """
    if flags(objects):
        return False
    mine, ours = _named(objects), _named(wanted)
    known = {"%s%s" % (prefix, hook) for hook in trial.HOOKS for prefix in ("", "confirmed_", "proposed_")}
    for (kind, name), fields in mine.items():
        if (kind, name) in ours:
            if fields != ours[kind, name]:
                return False
        elif kind == "chain":
            is_base = "hook" in fields
            if name not in known or is_base != (name in trial.HOOKS) or (is_base and fields["hook"] != name):
                return False
        elif kind != "set":
            return False
    return True


def _named(objects: Objects) -> dict[tuple[str, str], dict[str, t.Any]]:
    return {
        (kind, str(fields.get("name"))): {part: value for part, value in fields.items() if part not in _NOT_COMPARED}
        for entry in objects
        for kind, fields in entry.items()
        if kind not in ("table", "rule")
    }
