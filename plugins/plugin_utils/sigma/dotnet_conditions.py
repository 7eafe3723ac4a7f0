# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions as the engine of Windows hosts reads them (module_utils/windows/sigma/Conditions.cs)."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet import for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import UnusableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.regex_literals import clauses

Node = list[t.Any]

# Half of what contracts/Json.cs reads, as each part is a list in a list.
_DEEPEST = 90
# More take as long as the expression.
_MOST_LITERALS = 40
_MOST_CLAUSES = 2


def condition_for_dotnet(node: Node) -> Node:
    """Return a condition with its expressions as ``for_dotnet`` returns them. Raises UnusableError.

    Texts with wildcards stay: Patterns.cs reads them by itself.
    """
    return _condition(node, _DEEPEST)


def _condition(node: Node, deepest: int) -> Node:
    kind = node[0]
    if deepest == 0:
        # The reader of the payload would refuse all rules.
        raise UnusableError("the condition is nested too deeply for Windows", "detection.condition")
    if kind in ("and", "or"):
        return [kind, [_condition(part, deepest - 1) for part in node[1]]]
    if kind == "not":
        return [kind, _condition(node[1], deepest - 1)]
    if kind in ("regex", "patterns"):
        rewritten = [kind, node[1], [[for_dotnet(pattern, flags), flags] for pattern, flags in node[2]]]
        if kind == "regex":
            rewritten.append([_literals(pattern, flags) for pattern, flags in node[2]])
        return rewritten
    if kind == "number" and isinstance(node[3], int) and not -(2**63) <= node[3] < 2**63:
        raise UnusableError(f"field {node[1]}: the number {node[3]} is too large for Windows", "detection")
    return node


def _literals(pattern: str, flags: str) -> list[list[str]]:
    """Return what every match contains, for the host to look for first: of each list, one text in lower case."""
    rarest = sorted(clauses(pattern, flags), key=lambda clause: min(map(len, clause)), reverse=True)
    return [sorted(clause) for clause in rarest if len(clause) <= _MOST_LITERALS][:_MOST_CLAUSES]
