# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Correlations of pySigma in the compiled form.

Besides the facts of a rule: ``type``; ``parts``, for each rule that is referred to the numbers it has in the compiled
form; ``span`` in seconds; ``group``, for each field to group by the field's name in each part; and ``operator`` with
``count``, or ``expression``, a node of ``["part", number]``. ``values`` has the fields that value_count counts.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import UnusableError

with contextlib.suppress(ImportError):  # detections.load says what is missing
    from sigma import correlations as sc

Places = t.Mapping[int, t.Sequence[int]]

# A streaming reader can say these; of less than so many it can't know what is still to come.
_OPERATORS = ("gte", "gt", "eq")
_TYPES = ("event_count", "value_count", "temporal", "temporal_ordered")
# What a host has to remember for a correlation has to end somewhere.
_LARGEST_COUNT = 100000


def correlation(rule: t.Any, places: Places) -> dict[str, t.Any]:
    """Return the compiled form of a correlation. places: the numbers of rules, by ``id()``. Raises UnusableError."""
    kind = rule.type.name.lower()
    if kind not in _TYPES:
        raise UnusableError(f"type {kind} can't be evaluated on a host", "correlation.type")
    compiled: dict[str, t.Any] = {
        "type": kind,
        "parts": [_numbers(reference, places) for reference in rule.referenced_rules],
        "span": rule.timespan.seconds,
        "group": _group(rule),
    }
    condition = rule.condition
    if isinstance(condition, sc.SigmaExtendedCorrelationCondition):
        if kind != "temporal":
            raise UnusableError("condition: an expression needs the type temporal", "correlation.condition")
        names = [reference.reference for reference in rule.referenced_rules]
        compiled["expression"] = _expression(condition.parsed, names)
        return compiled
    operator = condition.op.name.lower()
    if operator not in _OPERATORS:
        raise UnusableError(
            f"condition {operator} would be true of what has not happened yet; use one of {', '.join(_OPERATORS)}",
            "correlation.condition",
        )
    if not 1 <= condition.count <= _LARGEST_COUNT or condition.count != int(condition.count):
        raise UnusableError(f"condition: a count is a whole number from 1 to {_LARGEST_COUNT}", "correlation.condition")
    compiled["operator"] = operator
    compiled["count"] = int(condition.count)
    if kind == "value_count":
        fields = condition.fieldref
        compiled["values"] = [fields] if isinstance(fields, str) else list(fields)
    return compiled


def _numbers(reference: t.Any, places: Places) -> list[int]:
    numbers = places.get(id(reference.rule))
    if not numbers:
        raise UnusableError(f"the rule '{reference.reference}' that it refers to can't be used", "correlation.rules")
    return list(numbers)


def _group(rule: t.Any) -> list[dict[str, t.Any]]:
    """Return the fields to group by: the name, and what each part calls it."""
    group = []
    for name in rule.group_by or []:
        alias = rule.aliases.aliases.get(name)
        called = {reference.reference: field for reference, field in alias.mapping.items()} if alias else {}
        unknown = set(called) - {reference.reference for reference in rule.referenced_rules}
        if unknown:
            raise UnusableError(
                f"alias '{name}' names the rule '{min(unknown)}', which is not one of its rules", "correlation.aliases"
            )
        group.append(
            {"name": name, "fields": [called.get(reference.reference, name) for reference in rule.referenced_rules]}
        )
    return group


def _expression(parsed: t.Any, names: t.Sequence[str]) -> list[t.Any]:
    if isinstance(parsed, sc.SigmaRuleReference):
        return ["part", names.index(parsed.reference)]
    parts = [_expression(part, names) for part in parsed.args]
    if isinstance(parsed, sc.CorrelationConditionNOT):
        return ["not", parts[0]]
    return ["and" if isinstance(parsed, sc.CorrelationConditionAND) else "or", parts]
