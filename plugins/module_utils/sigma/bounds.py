# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a condition may be true where only some of a view's fields are known: for those of a file, or an address.

What they rule out need not be asked again for other events that have the same there. Each node has two bounds: what is
true wherever the node may be, and what is true only where the node is, whatever the other fields are.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import (
    Condition,
    all_of,
    any_of,
    condition,
    negated,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Node

# A condition, or what it is whatever the known fields have.
_Bound = t.Union[Condition, bool]


def at_most(node: Node, fields: t.AbstractSet[str]) -> Condition | None:
    """Return what is true wherever a node may be and asks for these fields only; None where they can't rule it out.

    Raises re.error, as ``condition`` does.
    """
    bound = _bound(node, fields, True)
    if bound is True:
        return None
    return bound if bound is not False else any_of(())


def _bound(node: Node, fields: t.AbstractSet[str], upper: bool) -> _Bound:
    kind = node[0]
    if kind == "not":
        bound: _Bound = _bound(node[1], fields, not upper)
        return not bound if isinstance(bound, bool) else negated(bound)
    if kind in ("and", "or"):
        # What decides the whole by itself.
        decides: bool = kind == "or"
        bounds = [_bound(part, fields, upper) for part in node[1]]
        if any(bound is decides for bound in bounds):
            return decides
        left = [bound for bound in bounds if not isinstance(bound, bool)]
        if not left:
            return not decides
        return any_of(left) if decides else all_of(left)
    if kind == "listed" or not fields_of(node) <= fields:
        return upper
    return condition(node)
