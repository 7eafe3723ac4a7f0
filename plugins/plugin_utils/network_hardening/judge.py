# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is legitimate on a port: what the administrator says, what is known as bad, and else the model."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import features, prefixes
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import (
    Activity,
    Key,
    Port,
    Traffic,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.model import Model

TRUSTED, LEGITIMATE, UNCLEAR, HOSTILE = "trusted", "legitimate", "unclear", "hostile"
# Below the first, a source is taken for an attacker's; from the second on, for a legitimate one. Where nothing says how
# much it transferred, by which who guesses slowly is told from who works, it needs the third, unless there are at least
# COMPANY legitimate ones in its neighbourhood: two attackers can be neighbours. Who comes on nine of ten days of all,
# such as monitoring, needs the fourth: others that are found as bad beside it say less of it than of who just came.
UNLIKELY, LIKELY, LIKELY_UNSIZED, LIKELY_DAILY = 0.2, 0.85, 0.985, 0.6
# What a source needs that would make the block of others larger, who lift its probability by being near; if it would
# become so many bits larger, they don't count.
_LIKELY_BESIDE = 0.95
_FAR_BITS = 3
_DAILY = 0.9**4  # as the feature has it
COMPANY = 3

_DAYS = features.NAMES.index("days")
_UNPROVEN = "what was seen of it proves neither"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """kind: one of the four above. probability: that it is legitimate. why: what says so, the weightiest first.

    by_itself: the probability if nobody were near it.
    """

    kind: str
    probability: float
    why: tuple[str, ...]
    by_itself: float

    @property
    def welcome(self) -> bool:
        return self.kind in (TRUSTED, LEGITIMATE)


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known before looking at the traffic: blocks, each with what to say of it."""

    trusted: t.Mapping[prefixes.Block, str] = dataclasses.field(default_factory=dict)
    threats: t.Mapping[prefixes.Block, str] = dataclasses.field(default_factory=dict)
    findings: t.Mapping[prefixes.Block, str] = dataclasses.field(default_factory=dict)


class BadSources:
    """The sources that a threat list or an open finding names, as a container."""

    def __init__(self, known: Known) -> None:
        self._inside = prefixes.Inside([*known.threats, *known.findings])

    def __contains__(self, key: object) -> bool:
        version, source = t.cast("Key", key)
        return self._inside.find(version, source) is not None


def judge(traffic: Traffic, port: Port, known: Known, model: Model) -> dict[Key, Verdict]:
    """Return a verdict on each source that was seen on a port."""
    trusted, threats, findings = (prefixes.Inside(part) for part in (known.trusted, known.threats, known.findings))
    verdicts = {}
    for key in sorted(traffic.by_port.get(port, {})):
        warnings = [
            text
            for inside, texts in ((threats, known.threats), (findings, known.findings))
            if (block := inside.find(*key)) is not None
            for text in [texts[block]]
        ]
        network = trusted.find(*key)
        if network is not None:
            verdicts[key] = Verdict(
                TRUSTED, 1.0, (known.trusted[network], *(f"although {text}" for text in warnings)), 1.0
            )
        elif warnings:
            verdicts[key] = Verdict(HOSTILE, 0.0, tuple(warnings), 0.0)
        else:
            verdicts[key] = _by_model(traffic.features(key, port), model)
    return _not_alone(verdicts, traffic.by_port.get(port, {}))


def _not_alone(verdicts: t.Mapping[Key, Verdict], activities: t.Mapping[Key, Activity]) -> dict[Key, Verdict]:
    """Return the verdicts, of which those on legitimate sources without company may need more."""
    company = collections.Counter(_neighbourhood(key) for key, verdict in verdicts.items() if verdict.welcome)
    found = {}
    for key, verdict in verdicts.items():
        alone = verdict.kind == LEGITIMATE and company[_neighbourhood(key)] < COMPANY
        if alone and not stands_alone(verdict, activities[key]):
            verdict = dataclasses.replace(verdict, kind=UNCLEAR, why=(_UNPROVEN, *verdict.why))
        found[key] = verdict
    return found


def stands_alone(verdict: Verdict, activity: Activity) -> bool:
    """Say whether a source is legitimate by its own traffic, without others beside it."""
    proven = activity.sized > 0 or verdict.probability >= LIKELY_UNSIZED
    return verdict.kind == TRUSTED or (verdict.kind == LEGITIMATE and proven)


def stands_beside(verdict: Verdict, activity: Activity, bits: int) -> bool:
    """Say whether a source is legitimate although it is at the edge of those that speak for it.

    bits: the length of their prefix without it, less that with it.
    """
    probability = verdict.probability
    if bits >= _FAR_BITS:
        # Only what lifts it is left out: known attackers near it still speak against it.
        probability = min(probability, verdict.by_itself)
    return stands_alone(verdict, activity) and probability >= _LIKELY_BESIDE


def _neighbourhood(key: Key) -> prefixes.Block:
    return prefixes.around(*key, prefixes.NEIGHBOURHOODS[key[0]][1])


def _by_model(values: t.Sequence[float], model: Model) -> Verdict:
    probability = model.probability(values)
    needed = LIKELY_DAILY if values[_DAYS] >= _DAILY else LIKELY
    kind = LEGITIMATE if probability >= needed else HOSTILE if probability <= UNLIKELY else UNCLEAR
    reasons = model.reasons(values, legitimate=kind == LEGITIMATE)
    if kind == UNCLEAR:
        reasons = [_UNPROVEN, *reasons[:2]]
    by_itself = model.probability(features.by_itself(values))
    return Verdict(kind, round(probability, 3), tuple(reasons) or ("much as others are",), round(by_itself, 3))
