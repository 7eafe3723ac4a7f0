# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anything can ever satisfy a condition, by the fields that its events have on hosts."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import fields_of

Node = list[t.Any]


def never_set(node: Node, has: t.Collection[str] | None) -> list[str]:
    """Return the fields for the lack of which a condition can't be true of events; [] where it can be.

    has: the fields that the events of a source can have; None where they have whatever a record has.
    """
    if has is None or _can_be(node, True, has):
        return []
    return sorted(fields_of(node).difference(has))


def _can_be(node: Node, value: bool, has: t.Collection[str]) -> bool:
    """Return whether a condition can be true (value) or false, as far as fields that are never set decide it."""
    kind = node[0]
    if kind == "not":
        return _can_be(node[1], not value, has)
    if kind in ("and", "or"):
        every = (kind == "and") is value
        return (all if every else any)(_can_be(part, value, has) for part in node[1])
    if kind in ("words", "patterns"):
        return True
    set_ones = [field for field in fields_of(node) if field in has]
    if kind == "null":
        return bool(set_ones) or value
    if kind == "same":
        return len(set_ones) == len(fields_of(node)) or not value
    return bool(set_ones) or not value
