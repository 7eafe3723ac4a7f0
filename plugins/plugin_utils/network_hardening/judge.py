# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge who is legitimate on a port: by the administrator, known threats, sign-ins, and else by the model.

An accepted sign-in is the strongest sign. That there was none, where it would be known, outweighs any rhythm: a program
that guesses slowly can be as regular as it likes. Only a proof makes a source hostile: a threat list, a finding, a
search for ports, or that the fleet refused it. The last two can be faked in anybody's name, so that they are no proof
against somebody who comes often. What is not known proves nothing.
"""

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
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sign_ins import (
    Elsewhere,
    SignedIn,
    SignIns,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.wording import counted

TRUSTED, LEGITIMATE, UNCLEAR, HOSTILE = "trusted", "legitimate", "unclear", "hostile"
# Below the first, the model speaks against a source; from the second on, for it. Unless there are at least COMPANY
# legitimate ones in its neighbourhood (two attackers can be neighbours), a source must have worked, too, or be a
# machine; where nothing says what it transferred, it needs the third. Who comes on nine of ten days of all, such as
# monitoring, needs the fourth: others that are found as bad near it say less of it than of who just came.
UNLIKELY, LIKELY, LIKELY_UNSIZED, LIKELY_DAILY = 0.2, 0.85, 0.985, 0.6
# What a source needs that would make the block of others larger, who lift its probability by being near; if it would
# become so many bits larger, they don't count.
_LIKELY_BESIDE = 0.95
_FAR_BITS = 3
_DAILY = 0.9**4  # as the feature has it
COMPANY = 3
# Who signed in on two days or more, and who did so on one, which may have been elsewhere than usual.
_SIGNED_IN, _SIGNED_IN_AT_ONCE, _SIGNED_IN_ONCE = 0.99, 0.95, 0.9
_ELSEWHERE = 0.97
# Who tried so many ports that do not answer, and no fewer than the days it came on, searches.
_PROBES = 3
# Bytes of a connection of SSH: on average, several guesses at a password take less than the first; fewer guesses take
# less than the second.
_GUESS, _WORK, _SEVERAL = 8_000, 12_000, 4
# Who only looks whether SSH answers gets less than this; who guesses exchanges keys first, of which sshd sends 3 kB.
_LOOK = 2_500
# So many of a neighbourhood have to have worked for each of them that did not.
_WORKING_EACH = 20
# Of connections, how many last ten minutes where somebody works. Who does not sign in is sent away after two.
_HELD = 0.3
# Connections a day, and by how much of that their number differs from day to day, of a machine that only looks.
_MACHINE, _STEADY = 50, 0.1

_DAYS = features.NAMES.index("days")
_UNPROVEN = "what was seen of it proves neither"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """kind: one of the four above. probability: that it is legitimate. why: what says so, the weightiest first.

    by_itself: the probability if nobody were near it. is_against: whether more speaks against it than for it, so that
    no prefix of others may let it in; that alone makes nobody hostile. signed: the days on which it signed in.
    unknown: those on which it came, and it would not be known if it signed in; only of a source that did on others.
    is_suspect: whether it signed in although something speaks against it. is_proven: whether it may be let in without
    others that are legitimate near it. is_idle: whether it is known to have transferred too little to have worked.
    is_doubted: whether it comes often, and what can be faked speaks against it.
    """

    kind: str
    probability: float
    why: tuple[str, ...]
    by_itself: float
    is_against: bool = False
    signed: frozenset[int] = frozenset()
    unknown: frozenset[int] = frozenset()
    is_suspect: bool = False
    is_proven: bool = True
    is_idle: bool = False
    is_doubted: bool = False

    @property
    def welcome(self) -> bool:
        return self.kind in (TRUSTED, LEGITIMATE)

    @property
    def warns(self) -> bool:
        """Say whether to expect others like it around it: not if all against it is how little it transferred."""
        return self.is_against and not (self.is_idle and self.probability >= UNLIKELY)


@dataclasses.dataclass(frozen=True)
class Known:
    """Knowledge besides the traffic: blocks, each with what to say of it, sign-ins, and what the fleet saw.

    ssh: the ports of SSH.
    """

    trusted: t.Mapping[prefixes.Block, str] = dataclasses.field(default_factory=dict)
    threats: t.Mapping[prefixes.Block, str] = dataclasses.field(default_factory=dict)
    findings: t.Mapping[prefixes.Block, str] = dataclasses.field(default_factory=dict)
    sign_ins: SignIns = dataclasses.field(default_factory=SignIns)
    fleet: t.Mapping[Key, Elsewhere] = dataclasses.field(default_factory=dict)
    ssh: frozenset[Port] = frozenset()


class BadSources:
    """The sources that a threat list or an open finding names, as a container."""

    def __init__(self, known: Known) -> None:
        self._inside = prefixes.Inside([*known.threats, *known.findings])

    def __contains__(self, key: object) -> bool:
        version, source = t.cast("Key", key)
        return self._inside.find(version, source) is not None


def judge(traffic: Traffic, port: Port, known: Known, model: Model) -> dict[Key, Verdict]:
    """Return a verdict on each source that was seen on a port."""
    judged = _Judge(traffic, port, known, model)
    return _not_alone({key: judged.verdict(key) for key in sorted(traffic.by_port.get(port, {}))})


class _Judge:
    """Knowledge about one port."""

    def __init__(self, traffic: Traffic, port: Port, known: Known, model: Model) -> None:
        self._traffic, self._port, self._known, self._model = traffic, port, known, model
        self._trusted = prefixes.Inside(known.trusted)
        self._bad = [(prefixes.Inside(part), part) for part in (known.threats, known.findings)]

    def verdict(self, key: Key) -> Verdict:
        warnings = tuple(
            texts[block] for inside, texts in self._bad if (block := inside.find(*key)) is not None
        )  # fmt: skip
        network = self._trusted.find(*key)
        if network is not None:
            why = (self._known.trusted[network], *(f"although {text}" for text in warnings))
            return Verdict(TRUSTED, 1.0, why, 1.0, signed=self._signed_days(key))
        signed = self._known.sign_ins.of(self._port, key)
        if signed is not None:
            return self._of_signed_in(key, signed, warnings)
        if warnings:
            return Verdict(HOSTILE, 0.0, warnings, 0.0, is_against=True)
        return self._by_the_fleet(key) or self._of_stranger(key)

    def _signed_days(self, key: Key) -> frozenset[int]:
        signed = self._known.sign_ins.of(self._port, key)
        return frozenset(signed.days if signed else ())

    def _of_signed_in(self, key: Key, signed: SignedIn, warnings: tuple[str, ...]) -> Verdict:
        activity = self._traffic.by_port[self._port][key]
        days = frozenset(signed.days)
        times = f"it signed in {counted(signed.count, 'time')} on {counted(len(days), 'day')}"
        if self._known.sign_ins.is_suspect(self._port, key, activity):
            warnings = (
                f"most of its {counted(activity.count, 'connection')} did not, as with somebody who guesses a password",
                *warnings,
            )
        if warnings:
            why = (times, *(f"although {text}" for text in warnings))
            return Verdict(UNCLEAR, 0.5, why, 0.5, is_against=True, signed=days, is_suspect=True)
        # Who got in at once, and on one day, may have been elsewhere than usual, but knew what to say.
        proven = len(days) > 1 or activity.count <= signed.count
        probability = _SIGNED_IN if len(days) > 1 else _SIGNED_IN_AT_ONCE if proven else _SIGNED_IN_ONCE
        verdict = Verdict(LEGITIMATE, probability, (times,), probability, signed=days, is_proven=proven)
        unknown = frozenset(
            day for day in activity.days if day not in days and not self._known.sign_ins.is_known(self._port, [day])
        )
        return self._by_all_days(key, verdict, unknown) if unknown else verdict

    def _by_all_days(self, key: Key, verdict: Verdict, unknown: frozenset[int]) -> Verdict:
        """Return a verdict on a source that signed in, to which its traffic adds: not all sign-ins are known."""
        traffic = self._by_traffic(key)
        if not (traffic.welcome and traffic.is_proven):
            return dataclasses.replace(verdict, unknown=unknown)
        return dataclasses.replace(
            verdict,
            probability=max(verdict.probability, traffic.probability),
            why=(*verdict.why, *traffic.why),
            by_itself=max(verdict.by_itself, traffic.by_itself),
            unknown=unknown,
            is_proven=True,
        )

    def _by_the_fleet(self, key: Key) -> Verdict | None:
        """Return a verdict on a source that signed in on several other hosts; where that is known, also here."""
        elsewhere = self._known.fleet.get(key)
        if elsewhere is None or not elsewhere.speaks_for or self._never_signed_in(key):
            return None
        hosts = counted(elsewhere.signed_in, "other host")
        return Verdict(LEGITIMATE, _ELSEWHERE, (f"it signed in on {hosts}",), _ELSEWHERE)

    def _never_signed_in(self, key: Key) -> bool:
        return self._known.sign_ins.is_known(self._port, self._traffic.by_port[self._port][key].days)

    def _of_stranger(self, key: Key) -> Verdict:
        """Return a verdict on a source of which nothing is known but its traffic."""
        activity, doubts = self._traffic.by_port[self._port][key], tuple(self._doubts(key))
        if doubts and not activity.comes_often:
            return Verdict(HOSTILE, 0.0, doubts, 0.0, is_against=True)
        verdict = self._by_traffic(key, has_probed=not doubts)
        if self._never_signed_in(key):
            # However regular it is: whoever is let in signs in some day.
            why = ("it never signed in", *(text for text in verdict.why if text != _UNPROVEN))
            doubt = min(verdict.probability, UNLIKELY)
            return Verdict(UNCLEAR, doubt, (why[:1] if verdict.welcome else why) + doubts, doubt, is_against=True)
        return self._in_doubt(verdict, activity, doubts) if doubts else verdict

    def _doubts(self, key: Key) -> t.Iterator[str]:
        """Yield what speaks against a source and can be faked: a packet with a made-up source tries any port."""
        probes = self._traffic.everywhere(key).probes(self._port)
        if probes >= max(_PROBES, len(self._traffic.by_port[self._port][key].days)):
            yield f"it tried {counted(probes, 'other port')} that do not answer"
        elsewhere = self._known.fleet.get(key)
        if elsewhere is not None and elsewhere.speaks_against:
            yield f"{counted(elsewhere.refused_only, 'other host')} refused it, and none let it sign in"

    def _in_doubt(self, verdict: Verdict, activity: Activity, doubts: tuple[str, ...]) -> Verdict:
        """Return the verdict on a source that comes often, although what can be faked speaks against it."""
        doubts = tuple(f"although {doubt}, which others can fake" for doubt in doubts)
        is_measured = bool(activity.sized or activity.timed)
        if verdict.welcome and verdict.is_proven and is_measured:
            return dataclasses.replace(verdict, why=(*verdict.why, *doubts))
        doubt = min(verdict.probability, UNLIKELY)
        return dataclasses.replace(
            verdict,
            kind=UNCLEAR,
            probability=doubt,
            why=(_UNPROVEN, *doubts),
            is_against=True,
            is_proven=False,
            is_doubted=True,
        )

    def _by_traffic(self, key: Key, has_probed: bool = True) -> Verdict:
        activity, is_ssh = self._traffic.by_port[self._port][key], self._port in self._known.ssh
        values = self._traffic.features(key, self._port)
        verdict = _by_model(values if has_probed else features.without_probes(values), self._model)
        worked = _has_worked(activity, verdict.probability, is_ssh)
        only_looks = not is_ssh or activity.bytes <= _LOOK * activity.sized
        proven = worked or (only_looks and _is_machine(activity, self._traffic.days))
        idle = is_ssh and not proven and activity.bytes < _GUESS * activity.sized
        return dataclasses.replace(verdict, is_proven=proven, is_idle=idle)


def _has_worked(activity: Activity, probability: float, is_ssh: bool) -> bool:
    """Say whether connections did more than guess a password; where that is not known, whether it is very likely."""
    if activity.sized:
        enough = _GUESS if activity.sized >= _SEVERAL else _WORK
        return not is_ssh or activity.bytes >= enough * activity.sized
    if activity.timed and activity.held >= _HELD * activity.timed:
        return True
    return probability >= LIKELY_UNSIZED


def _is_machine(activity: Activity, observed: int) -> bool:
    """Say whether a source comes as often each day, as monitoring does; observed: of how many days."""
    counts = sorted(activity.days.values())
    usual = counts[len(counts) // 2]
    steady = sum(abs(count - usual) <= _STEADY * usual for count in counts)
    return usual >= _MACHINE and len(counts) >= 0.9 * observed and steady >= 0.8 * len(counts)


def _not_alone(verdicts: t.Mapping[Key, Verdict]) -> dict[Key, Verdict]:
    """Return the verdicts, of which those on legitimate sources without company may need more."""
    company, idle = (
        collections.Counter(
            _neighbourhood(key) for key, verdict in verdicts.items() if verdict.welcome and verdict.is_idle is wanted
        )
        for wanted in (False, True)
    )
    found = {}
    for key, verdict in verdicts.items():
        near = company[_neighbourhood(key)]
        if verdict.is_idle:
            verdict = _of_idle(verdict, near >= max(COMPANY, _WORKING_EACH * idle[_neighbourhood(key)]))
        elif verdict.kind == LEGITIMATE and near < COMPANY and not verdict.signed and not stands_alone(verdict):
            verdict = dataclasses.replace(verdict, kind=UNCLEAR, why=(_UNPROVEN, *verdict.why))
        found[key] = verdict
    return found


def _of_idle(verdict: Verdict, has_company: bool) -> Verdict:
    """Return a verdict on a source of SSH that transferred too little, which is chance in a crowd of who works."""
    if verdict.welcome and has_company:
        return verdict
    doubt = min(verdict.probability, UNLIKELY)
    why = (_UNPROVEN, "connections transfer no more than a guess at a password")
    return dataclasses.replace(verdict, kind=UNCLEAR, probability=doubt, why=why, is_against=True)


def stands_alone(verdict: Verdict) -> bool:
    """Say whether a source is legitimate by its own evidence, without others near it."""
    return verdict.kind == TRUSTED or (verdict.kind == LEGITIMATE and verdict.is_proven)


def stands_beside(verdict: Verdict, bits: int) -> bool:
    """Say whether a source is legitimate although it is at the edge of those that speak for it.

    bits: the length of their prefix without it, less that with it.
    """
    probability = verdict.probability
    if bits >= _FAR_BITS:
        # Only what lifts it is left out: known attackers near it still speak against it.
        probability = min(probability, verdict.by_itself)
    return stands_alone(verdict) and probability >= _LIKELY_BESIDE


def _neighbourhood(key: Key) -> prefixes.Block:
    return prefixes.around(*key, prefixes.NEIGHBOURHOODS[key[0]][1])


def _by_model(values: t.Sequence[float], model: Model) -> Verdict:
    """Return what the model says; it makes nobody hostile, as much of what it goes by is that something is missing."""
    probability = model.probability(values)
    needed = LIKELY_DAILY if values[_DAYS] >= _DAILY else LIKELY
    kind = LEGITIMATE if probability >= needed else UNCLEAR
    reasons = model.reasons(values, legitimate=kind == LEGITIMATE)
    if kind == UNCLEAR:
        reasons = [_UNPROVEN, *reasons[:2]]
    by_itself = model.probability(features.by_itself(values))
    why = tuple(reasons) or ("much as others are",)
    return Verdict(kind, round(probability, 3), why, round(by_itself, 3), is_against=probability <= UNLIKELY)
