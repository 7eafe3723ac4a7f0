# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secure score: one number from 0 to 100 for how much was checked and found in order.

A *control* is one capability on one host, as a recommendation on a resource is in Defender for Cloud
(https://learn.microsoft.com/azure/defender-for-cloud/secure-score-security-controls). Every control counts alike::

    coverage = (scopes checked + scopes partly checked / 2) / all scopes
               with a benchmark: (scopes checked at least in part) / all scopes x the share of its controls, by weight,
               that are not "not checked", of those that apply
    health   = by the most severe active finding: critical 0 %, high 25 %, medium 50 %, low 75 %, otherwise 100 %
               with a benchmark: its score of those judged (benchmark_score.py), and no more than that
    control  = 100 x coverage x health
    score    = the mean of the controls: of all for the fleet, of a host's or a capability's for its own score

What follows from that, on purpose:

- What was not checked earns nothing. A capability that covers one host of the report counts for every host of it,
  so a host that was never looked at lowers the score instead of vanishing from it.
- A scope counts half when any subject in it was skipped: one unreadable directory may hide any number of files. A
  benchmark knows how much it could not judge: three light controls of a hundred do not cost half.
- New and open findings are active. Resolved ones are not, and neither are suppressed ones: suppressing a finding is
  accepting its risk. The report shows beside the score what it would be without suppressions.
- The second finding of the same severity on a control costs nothing more. The score says how many controls are in
  order; how much there is to do is what the list of findings says.
- Where a benchmark is judged, its score of those judged is the health: one and sixty failures are not the same. Its own
  findings then count in no other way, so to suppress one changes nothing; an exception or a judgement does. A finding
  of the capability that is not one of the benchmark's lowers the health to what its severity leaves, as anywhere.

The points that are missing from 100 are told apart: ``lost_to_coverage`` is 100 x (1 - coverage) and
``lost_to_findings`` is 100 x coverage x (1 - health), so that the three add up to 100.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding

CREDIT: t.Mapping[str, float] = {_finding.CHECKED: 1.0, _finding.PARTIAL: 0.5, _finding.NOT_CHECKED: 0.0}
HEALTH: t.Mapping[str, float] = {"informational": 1.0, "low": 0.75, "medium": 0.5, "high": 0.25, "critical": 0.0}


@dataclasses.dataclass(frozen=True)
class Points:
    """A score and where the rest of 100 went; ``score + lost_to_findings + lost_to_coverage`` is 100.

    controls: of how many controls this is the mean.
    """

    score: float
    lost_to_findings: float
    lost_to_coverage: float
    controls: int


@dataclasses.dataclass(frozen=True)
class Judged:
    """How a benchmark did on a host, from 0 to 1.

    checked: the share of what applies that could be checked. health: the score of what was judged, None for nothing.
    """

    checked: float
    health: float | None


@dataclasses.dataclass(frozen=True)
class SecureScore:
    """The score of everything, and of each host and each capability."""

    total: Points
    hosts: t.Mapping[str, Points]
    capabilities: t.Mapping[str, Points]


def secure_score(
    scopes: t.Iterable[tuple[str, str, str]],
    active: t.Iterable[tuple[str, str, str]],
    judged: t.Mapping[tuple[str, str], Judged],
) -> SecureScore | None:
    """Return the score, or None when there is no control to score.

    scopes: (host, capability, coverage status) of every scope. active: (host, capability, severity) of every finding
    that is new or open, without those of a benchmark. judged: by (host, capability), of those with a benchmark. Raises
    KeyError for a status or a severity that isn't one.
    """
    earned = earned_by_scope(scopes, judged)
    health = healths(active, judged)
    hosts = sorted({host for host, _capability in [*earned, *health]})
    capabilities = sorted({capability for _host, capability in [*earned, *health]})
    controls = {
        (host, capability): control(earned.get((host, capability), []), health.get((host, capability), 1.0))
        for host in hosts
        for capability in capabilities
    }
    if not controls:
        return None
    return SecureScore(
        total=_mean(list(controls.values())),
        hosts={host: _mean([controls[host, capability] for capability in capabilities]) for host in hosts},
        capabilities={capability: _mean([controls[host, capability] for host in hosts]) for capability in capabilities},
    )


def earned_by_scope(
    scopes: t.Iterable[tuple[str, str, str]], judged: t.Mapping[tuple[str, str], Judged]
) -> dict[tuple[str, str], list[float]]:
    """Return the credits of scopes, from 0 to 1, by host and capability; parameters as for ``secure_score``."""
    earned: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for host, capability, status in scopes:
        earned[host, capability].append(credit(status, judged.get((host, capability))))
    return earned


def credit(status: str, benchmark: Judged | None) -> float:
    """Return the credit of a scope with this coverage status, from 0 to 1."""
    return CREDIT[status] if benchmark is None else benchmark.checked * (CREDIT[status] > 0)


def healths(
    active: t.Iterable[tuple[str, str, str]], judged: t.Mapping[tuple[str, str], Judged]
) -> dict[tuple[str, str], float]:
    """Return the health, from 0 to 1, of each host and capability that has findings or a benchmark."""
    health = {name: own_health(benchmark) for name, benchmark in judged.items()}
    for host, capability, severity in active:
        health[host, capability] = min(HEALTH[severity], health.get((host, capability), 1.0))
    return health


def own_health(benchmark: Judged | None) -> float:
    """Return the health of a control without findings, from 0 to 1."""
    return 1.0 if benchmark is None or benchmark.health is None else benchmark.health


def control(earned: t.Sequence[float], health: float) -> Points:
    """Return the points of one control. earned: of its scopes, as ``earned_by_scope`` returns them."""
    coverage = sum(earned) / len(earned) if earned else 0.0
    return Points(100 * coverage * health, 100 * coverage * (1 - health), 100 * (1 - coverage), 1)


def _mean(controls: t.Sequence[Points]) -> Points:
    count = len(controls)
    return Points(
        sum(control.score for control in controls) / count,
        sum(control.lost_to_findings for control in controls) / count,
        sum(control.lost_to_coverage for control in controls) / count,
        count,
    )
