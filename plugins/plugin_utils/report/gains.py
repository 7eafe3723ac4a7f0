# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rank the actions that raise the secure score: resolve findings, fix controls of a benchmark, close coverage gaps.

Each gain is the score with that one thing done minus the score as it is, by the rules of ``secure_score``; the hosts
and capabilities stay the same. Gains do not add up, because a control is as healthy as its most severe finding. A
check that closes a gap may find something. So a gap brings *up to* its gain.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control, _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score, capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    alike,
    benchmark,
    coverage,
    model,
    secure_score,
    summary,
)

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

FINDINGS, SEVERITY, CONTROL, GAP = "findings", "severity", "control", "gap"
# A smaller gain would be shown as +0.0.
_LEAST = 0.05

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Action:
    """An action, and the points that it adds to the score.

    kind: ``FINDINGS`` of one alert, all findings of ``SEVERITY`` and above of a capability, a ``CONTROL`` of a
    benchmark or a ``GAP``. alert: of the findings or the control, "" otherwise. severity: the highest of them, or the
    lowest that is included. reason: of a gap. count: of findings, engines or scopes.
    """

    kind: str
    capability: str
    alert: str
    severity: str
    reason: str
    count: int
    hosts: tuple[str, ...]
    gain: float


def actions(data: model.ReportData) -> list[Action]:
    """Return the actions that raise the score by 0.05 points or more, the highest gain first."""
    controls = _Controls(data)
    if not controls.count:
        return []
    candidates = [*_alerts(controls), *_failures(data, controls), *_gaps(data, controls)]
    worthwhile = [action for action in candidates if action.gain >= _LEAST]
    return sorted(worthwhile, key=_rank)


def _rank(action: Action) -> tuple[t.Any, ...]:
    """Sort by gain, then findings before gaps, the most severe first, then by the fewest hosts."""
    severity = model.SEVERITIES.index(action.severity) if action.severity else len(model.SEVERITIES)
    return -round(action.gain, 1), severity, len(action.hosts), action.capability, action.alert, action.reason


class _Controls:
    """The controls of the score, and the score after a change of some of them."""

    def __init__(self, data: model.ReportData) -> None:
        self.judged = benchmark.judged(data)
        self.active: dict[Pair, list[Finding]] = collections.defaultdict(list)
        for finding in summary.scored(data):
            self.active[finding.host, finding.capability].append(finding)
        scopes = ((entry.host, entry.capability, entry.status) for entry in data.coverage)
        self.earned = secure_score.earned_by_scope(scopes, self.judged)
        pairs = {*self.earned, *self.active, *self.judged}
        self.hosts = sorted({host for host, _capability in pairs})
        self.capabilities = sorted({capability for _host, capability in pairs})
        self.count = len(self.hosts) * len(self.capabilities)
        self.scores = {
            pair: secure_score.control(earned, self.health(pair, self.active.get(pair, ()))).score
            for pair, earned in self.earned.items()
        }

    def health(self, pair: Pair, active: t.Iterable[Finding], own: float | None = None) -> float:
        """Return the health with these findings. own: the health without findings, None for the present one."""
        own = secure_score.own_health(self.judged.get(pair)) if own is None else own
        return min([own, *(secure_score.HEALTH[severity] for severity in {each.severity for each in active})])

    def gain(self, changed: t.Mapping[Pair, float]) -> float:
        """Return the points that the whole score gains. changed: the new scores of controls."""
        return sum(score - self.scores.get(pair, 0.0) for pair, score in changed.items()) / self.count

    def without(self, pair: Pair, is_resolved: t.Callable[[Finding], bool]) -> float:
        """Return the score of a control when some of its findings are resolved."""
        rest = [finding for finding in self.active[pair] if not is_resolved(finding)]
        return secure_score.control(self.earned.get(pair, ()), self.health(pair, rest)).score


def _alerts(controls: _Controls) -> t.Iterator[Action]:
    """Yield an action for each alert, and one for several alerts that raise the score only together."""
    by_capability: dict[str, dict[str, list[Finding]]] = collections.defaultdict(dict)
    for (_host, capability), findings in controls.active.items():
        for finding in findings:
            by_capability[capability].setdefault(finding.alert, []).append(finding)
    for _capability, alerts in sorted(by_capability.items()):
        singly = [_resolve(controls, FINDINGS, alert, same) for alert, same in sorted(alerts.items())]
        yield from singly
        together = _together(controls, [finding for same in alerts.values() for finding in same])
        if together and together.gain > max(action.gain for action in singly) + _LEAST:
            yield together


def _together(controls: _Controls, findings: t.Sequence[Finding]) -> Action | None:
    """Return the action for a capability's most severe findings, if they are of several alerts."""
    present = {finding.severity for finding in findings}
    worst = next(severity for severity in model.SEVERITIES if severity in present)
    grave = [finding for finding in findings if finding.severity == worst]
    if len({finding.alert for finding in grave}) < 2:
        return None
    return _resolve(controls, SEVERITY, "", grave)


def _resolve(controls: _Controls, kind: str, alert: str, findings: t.Sequence[Finding]) -> Action:
    uids = {finding.uid for finding in findings}
    pairs = dict.fromkeys((finding.host, finding.capability) for finding in findings)
    changed = {pair: controls.without(pair, lambda finding: finding.uid in uids) for pair in pairs}
    return Action(
        kind=kind,
        capability=findings[0].capability,
        alert=alert,
        severity=min((finding.severity for finding in findings), key=model.SEVERITIES.index),
        reason="",
        count=len(findings),
        hosts=tuple(sorted({host for host, _capability in pairs})),
        gain=controls.gain(changed),
    )


def _failures(data: model.ReportData, controls: _Controls) -> t.Iterator[Action]:
    """Yield an action for each failed control of a benchmark, after which it passes on all engines."""
    weights = benchmark.weights(data)
    failed: dict[tuple[str, str], list[t.Any]] = collections.defaultdict(list)
    for state in data.controls:
        if state.status == _control.FAILED:
            failed[state.capability, state.control].append(state)
    for (capability, control), states in sorted(failed.items()):
        moved: dict[Pair, dict[str, int]] = collections.defaultdict(collections.Counter)
        for state in states:
            moved[state.host, capability][state.subject] += benchmark.weight(state, data.benchmarks)
        changed = {}
        for pair, engines in moved.items():
            own = benchmark_score.mean(
                benchmark_score.of_judged(_passing(sums, engines.get(name, 0))) for name, sums in weights[pair].items()
            )
            health = controls.health(pair, controls.active.get(pair, ()), own)
            changed[pair] = secure_score.control(controls.earned.get(pair, ()), health).score
        yield Action(
            kind=CONTROL,
            capability=capability,
            alert=control,
            severity=min((state.severity for state in states), key=model.SEVERITIES.index),
            reason="",
            count=len(states),
            hosts=tuple(sorted({state.host for state in states})),
            gain=controls.gain(changed),
        )


def _passing(weights: t.Mapping[str, int], weight: int) -> dict[str, int]:
    """Return the weights of an engine's controls after failed ones of this weight pass."""
    failed, passed = weights.get(_control.FAILED, 0), weights.get(_control.PASSED, 0)
    return {**weights, _control.FAILED: failed - weight, _control.PASSED: passed + weight}


def _gaps(data: model.ReportData, controls: _Controls) -> t.Iterator[Action]:
    """Yield an action for each reason of a coverage gap, after which the scopes are checked in full."""
    gaps: dict[tuple[str, str, str], list[model.Coverage]] = collections.defaultdict(list)
    for entry in data.coverage:
        # Nobody can make a capability know another platform. The coverage and the score have it all the same.
        is_fixed = entry.whole and capabilities.is_unknown_platform(entry.reason)
        if entry.status != _finding.CHECKED and not is_fixed:
            reason = coverage.gap_reason(entry)
            gaps[entry.status, entry.capability, alike.without_numbers(reason)].append(entry)
    for (status, capability, _reason), entries in sorted(gaps.items()):
        by_pair = collections.Counter((entry.host, capability) for entry in entries)
        changed = {}
        for pair, number in by_pair.items():
            better = secure_score.credit(_finding.CHECKED, controls.judged.get(pair))
            gained = number * (better - secure_score.credit(status, controls.judged.get(pair)))
            earned = controls.earned[pair]
            # Only the sum counts, so it does not matter which scopes earn more.
            changed[pair] = secure_score.control([(sum(earned) + gained) / len(earned)], _health(controls, pair)).score
        reason = alike.merged([coverage.gap_reason(entry) for entry in entries])
        yield _gap(controls, capability, reason, changed, len(entries))
    for capability in controls.capabilities:
        dark = [(host, capability) for host in controls.hosts if (host, capability) not in controls.earned]
        changed = {pair: secure_score.control([1.0], _health(controls, pair)).score for pair in dark}
        if changed:
            yield _gap(controls, capability, coverage.NEVER_REASON, changed, len(changed))


def _health(controls: _Controls, pair: Pair) -> float:
    return controls.health(pair, controls.active.get(pair, ()))


def _gap(controls: _Controls, capability: str, reason: str, changed: t.Mapping[Pair, float], count: int) -> Action:
    return Action(
        kind=GAP,
        capability=capability,
        alert="",
        severity="",
        reason=reason,
        count=count,
        hosts=tuple(sorted(host for host, _capability in changed)),
        gain=controls.gain(changed),
    )
