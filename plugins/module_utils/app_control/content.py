# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allowlists as they travel: plain data with the rules of a host's roles and of the bases of all distributions.

Only the host knows its distribution, so it chooses the bases.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Exemption, Rule


class RuleList(t.NamedTuple):
    """The rules of one allowlist file. distribution: of a base, "" for a role."""

    name: str
    distribution: str
    rules: tuple[Rule, ...]


def as_data(lists: t.Sequence[RuleList], exemptions: t.Sequence[Exemption]) -> dict[str, t.Any]:
    """Return what ``allowlist`` reads. Fields of rules with their default value are left out."""
    return {
        "lists": [
            {
                "name": each.name,
                "distribution": each.distribution,
                "rules": [_given(rule, ("role",)) for rule in each.rules],
            }
            for each in lists
        ],
        "exemptions": [_given(exemption) for exemption in exemptions],
    }


def rule_lists(data: t.Sequence[t.Mapping[str, t.Any]]) -> list[RuleList]:
    """Return the lists of ``as_data``. Raises KeyError or TypeError for anything else."""
    return [
        RuleList(each["name"], each["distribution"], tuple(_rule(each["name"], fields) for fields in each["rules"]))
        for each in data
    ]


def allowlist(data: t.Mapping[str, t.Any], distribution: str) -> Allowlist:
    """Return what counts on a host of a distribution. Raises KeyError or TypeError for what ``as_data`` did not make.

    distribution: its id and major version, such as "debian 12".
    """
    lists = [each for each in rule_lists(data["lists"]) if each.distribution in ("", distribution)]
    return Allowlist(
        tuple(each.name for each in lists),
        tuple(rule for each in lists for rule in each.rules),
        tuple(Exemption(**fields) for fields in data["exemptions"]),
    )


def _rule(role: str, fields: t.Mapping[str, t.Any]) -> Rule:
    values: dict[str, t.Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return Rule(role=role, **values)


def _given(record: t.Any, without: t.Container[str] = ()) -> dict[str, t.Any]:
    defaults = record._field_defaults
    return {
        name: value
        for name, value in record._asdict().items()
        if name not in without and (name not in defaults or value != defaults[name])
    }
