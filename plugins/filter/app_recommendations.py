# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommend roles and allowlists, from the programs that hosts ran."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import inputs, recommend
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Recommendation
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

_DEFAULT = Options()


def app_recommendations(
    hosts: t.Any,
    groups: t.Any = None,
    previous: t.Any = None,
    findings: t.Any = None,
    minimum_days: t.Any = _DEFAULT.minimum_days,
    minimum_hosts: t.Any = _DEFAULT.minimum_hosts,
    max_review: t.Any = _DEFAULT.max_review,
) -> dict[str, t.Any]:
    """Return the recommendation; raise AnsibleFilterError for programs or options that make no sense."""
    try:
        result = recommend.recommend(
            inputs.read_fleet(hosts, groups),
            inputs.read_options(minimum_days, minimum_hosts, max_review),
            inputs.read_previous(previous),
            inputs.read_findings(findings),
        )
    except (ContentError, inputs.InputError) as error:
        raise AnsibleFilterError(f"app_recommendations: {error}") from None
    return t.cast("dict[str, t.Any]", wrap_var(_plain(result)))


def _plain(result: Recommendation) -> dict[str, t.Any]:
    """Return plain lists and dictionaries; rules without what they leave empty."""
    return {
        "roles": [
            {
                "name": role.name,
                "distribution": role.distribution,
                "hosts": list(role.hosts),
                "problem": role.problem,
                "rules": [
                    {"rule": _rule(rule.rule), "programs": rule.programs, "hosts": rule.hosts, "reason": rule.reason}
                    for rule in role.rules
                ],
                "review": [
                    {
                        "program": _program(item.program),
                        "hosts": list(item.hosts),
                        "reasons": list(item.reasons),
                        "rule": _rule(item.rule),
                        "further": [program.path for program in item.further],
                    }
                    for item in role.review
                ],
                "left_out": role.left_out,
                "undecided": role.undecided,
            }
            for role in result.roles
        ],
        "hosts": {host: list(names) for host, names in result.hosts.items()},
        "insufficient": dict(result.insufficient),
    }


def _rule(rule: t.Any) -> dict[str, t.Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in rule._asdict().items()
        if value and name != "role"
    }


def _program(program: t.Any) -> dict[str, t.Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in program._asdict().items()}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"app_recommendations": app_recommendations}
