# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fields of a view a condition reads."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Node

# Stands for every field, where a rule looks for keywords in the whole event.
ALL_FIELDS = "*"


def fields_of(node: Node) -> frozenset[str]:
    """Return the names of the fields that a node reads."""
    return frozenset(_fields(node))


def _fields(node: Node) -> t.Iterator[str]:
    kind = node[0]
    if kind in ("and", "or"):
        for part in node[1]:
            yield from _fields(part)
    elif kind == "not":
        yield from _fields(node[1])
    elif kind == "listed":
        yield from node[2]
    elif kind in ("words", "patterns"):
        yield from node[1] or (ALL_FIELDS,)
    else:
        yield node[1]
        if kind == "same":
            yield node[2]
