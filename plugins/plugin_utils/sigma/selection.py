# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of compiled rules that one reader on the hosts needs."""

from __future__ import annotations

import typing as t


def for_sources(payload: t.Mapping[str, t.Any], sources: t.Collection[str]) -> dict[str, t.Any]:
    """Return the compiled form with only the rules of some sources, and the correlations all of whose parts are there.

    A correlation that refers to several rules of which only some are there can never be true for this reader.
    """
    kept = [number for number, rule in enumerate(payload["rules"]) if rule["source"] in sources]
    numbers = {old: new for new, old in enumerate(kept)}
    correlations: list[dict[str, t.Any]] = []
    for place, correlation in enumerate(payload["correlations"], len(payload["rules"])):
        parts = [[numbers[number] for number in part if number in numbers] for part in correlation["parts"]]
        if all(parts):
            numbers[place] = len(kept) + len(correlations)
            correlations.append({**correlation, "parts": parts})
    rules = [payload["rules"][number] for number in kept]
    lists, rules = _lists(payload.get("lists", ()), rules)
    return {**payload, "rules": rules, "correlations": correlations, "lists": lists}


def _lists(lists: t.Sequence[t.Any], rules: t.Sequence[dict[str, t.Any]]) -> tuple[list[t.Any], list[dict[str, t.Any]]]:
    """Return the threat lists that rules refer to, and the rules with their numbers."""
    used = sorted({rule["condition"][1] for rule in rules if rule["condition"][0] == "listed"})
    places = {old: new for new, old in enumerate(used)}
    renumbered = [
        {**rule, "condition": ["listed", places[rule["condition"][1]], *rule["condition"][2:]]}
        if rule["condition"][0] == "listed"
        else rule
        for rule in rules
    ]
    return [lists[number] for number in used], renumbered
