# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold what was simulated against what was seen."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content, results


def simulation_outcomes(
    simulated: t.Any, findings: t.Any, alerts: t.Any = None, unwatched: t.Any = None
) -> dict[str, t.Any]:
    """Return rows, lines and whether all is good; raise AnsibleFilterError for what is no result of the simulation."""
    if not isinstance(simulated, dict) or not isinstance(simulated.get("simulations"), list):
        raise AnsibleFilterError("simulation_outcomes: the input is not a result of bulwark.servers.attack_simulation")
    if not isinstance(findings, list):
        raise AnsibleFilterError("simulation_outcomes: findings is not a list of findings")
    if not isinstance(unwatched or [], list):
        raise AnsibleFilterError("simulation_outcomes: unwatched is not a list of paths")
    try:
        chosen = content.chosen(alerts, str(simulated.get("platform", content.LINUX)))
        rows = results.outcomes(chosen, simulated["simulations"], findings, [str(path) for path in unwatched or []])
    except ContentError as error:
        raise AnsibleFilterError(f"simulation_outcomes: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(f"simulation_outcomes: a finding or simulation is damaged: {error!r}") from None
    answer = {
        "rows": [dataclasses.asdict(row) for row in rows],
        "lines": [visible(line, len(line) * 10) for line in results.lines(rows)],
        "good": all(row.good for row in rows),
        "bad": [row.alert for row in rows if not row.good],
        "hints": _hints(rows),
    }
    return t.cast("dict[str, t.Any]", wrap_var(answer))


def _hints(rows: t.Sequence[results.Outcome]) -> list[str]:
    """Return a sentence for each reason why alerts are missing, with these."""
    alerts: dict[str, list[str]] = {}
    for row in rows:
        if row.status == results.MISSING and row.reason:
            alerts.setdefault(row.reason, []).append(row.alert)
    sentences = (f"{', '.join(missing)}: {reason}." for reason, missing in alerts.items())
    return [visible(sentence, len(sentence) * 10) for sentence in sentences]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"simulation_outcomes": simulation_outcomes}
