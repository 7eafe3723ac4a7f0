# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what becomes of a port: who has to prove what before it is narrowed or closed.

To narrow it takes legitimate sources, few that may be legitimate, too, and prefixes that would have let in who came
later. To close it takes a proof that nobody needs it. Everything else is unclear, and stays open.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    cluster,
    judge,
    options,
    prefixes,
    wording,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Activity, Key, Port
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.judge import Verdict
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.outlook import Outlook

NARROW, PARTIAL, CLOSE, UNCLEAR = "narrow", "partial", "close", "unclear"
PUBLIC, NOT_ENOUGH = "public", "not_enough_data"
# Of these, prefixes are recommended, or that nobody is let in.
ENFORCED = (NARROW, PARTIAL, CLOSE)

# By what it is decided who is legitimate, the first that is known.
SIGN_INS, TRANSFER, RHYTHM = "sign_ins", "transfer", "rhythm"

# Of so many visits of a company, what share may be denied later: somebody is always elsewhere.
_MANY_VISITS, _MOST_DENIED = 80, 0.04
# Of the networks of legitimate sources elsewhere, how many may be denied later; fewer where nobody is known to be one.
_MOST_RISK = {SIGN_INS: 0.065, TRANSFER: 0.058, RHYTHM: 0.058}
# Of the days on which sources signed in, how many may be of those that something speaks against.
_MOST_SUSPECT = 0.2
# Fewer sources than this don't show that a network wider than their own neighbourhood is that of people.
_CROWD = 8
# Sources that prove neither may have come on no more days than legitimate ones, unless theirs is this share of the
# connections at most.
_DOUBTFUL_SHARE = 0.1
# Of all days, on how many somebody comes whom nobody can do without although it seems to search for ports.
_REGULAR = 0.6


@dataclasses.dataclass(frozen=True)
class Case:
    """All that counts for one port. period: the first and the last day; kept, left: groups, as of cluster.groups."""

    port: Port
    period: tuple[int, int] | None
    activities: t.Mapping[Key, Activity]
    verdicts: t.Mapping[Key, Verdict]
    kept: t.Sequence[cluster.Group]
    left: t.Sequence[cluster.Group]
    outlook: Outlook
    asked: options.Options
    was_answered: bool

    @property
    def days(self) -> int:
        return self.period[1] - self.period[0] + 1 if self.period else 0

    @property
    def within(self) -> str:
        return f"within {wording.counted(self.days, 'day')}"


def status(case: Case) -> tuple[str, str]:
    """Return what becomes of a port, and why."""
    asked = case.asked
    if case.port in asked.public:
        return PUBLIC, "it is meant for everybody, so nothing is recommended"
    if not case.days:
        needed = wording.counted(asked.minimum_days, "day")
        return NOT_ENOUGH, f"it is not known who connects: {needed} of traffic are needed"
    if case.days < asked.minimum_days:
        seen = wording.counted(case.days, "day")
        return NOT_ENOUGH, f"traffic was seen for {seen}, and network_hardening_minimum_days is {asked.minimum_days}"
    if not case.verdicts:
        return CLOSE, f"nobody connected to it {case.within}"
    if not any(verdict.welcome for verdict in case.verdicts.values()):
        return _nobody(case)
    return _fresh(case) or _suspicious(case) or _doubtful(case) or _sparse(case) or _moving(case) or _narrowed(case)


def decided_by(case: Case) -> str:
    """Return what it is decided by who is legitimate."""
    sign_ins = case.asked.known.sign_ins
    if case.port in sign_ins.observed or sign_ins.by_port.get(case.port):
        return SIGN_INS
    known = any(activity.sized or activity.timed for activity in case.activities.values())
    return TRANSFER if known else RHYTHM


def _nobody(case: Case) -> tuple[str, str]:
    """Return what becomes of a port without a legitimate source."""
    kinds = [verdict.kind for verdict in case.verdicts.values()]
    suspects = sum(verdict.is_suspect for verdict in case.verdicts.values())
    if suspects:
        known = wording.counted(suspects, "source")
        return UNCLEAR, f"{known} signed in, although there are signs against it: check those first"
    often = sum(case.activities[key].comes_often for key in case.verdicts)
    if often and all(kind == judge.HOSTILE for kind in kinds):
        known = wording.counted(often, "source")
        return UNCLEAR, f"{known} came on many days, although there are signs against it: check those first"
    if all(kind == judge.HOSTILE for kind in kinds):
        return CLOSE, f"nobody but scanners and attackers connected to it {case.within}"
    if case.period and case.asked.known.sign_ins.is_complete(case.port, case.period):
        return CLOSE, f"nobody signed in {case.within}, and all sign-ins of that time are known"
    if not case.was_answered:
        return CLOSE, f"nobody who connected to it {case.within} was answered"
    doubtful = wording.counted(kinds.count(judge.UNCLEAR), "source")
    return UNCLEAR, f"nobody is known to be legitimate, and {doubtful} may be: keep it open, and check its sources"


def _fresh(case: Case) -> tuple[str, str] | None:
    """Return the answer for a port whose legitimate sources are all new."""
    days = {day for group in case.kept for key in group.members for day in case.activities[key].days}
    trusted = any(group.trusted for group in case.kept)
    if days and not trusted and max(days) - min(days) + 1 < case.asked.minimum_days / 2:
        return NOT_ENOUGH, "legitimate sources were seen for few days only, so that others may be missing"
    return None


def _suspicious(case: Case) -> tuple[str, str] | None:
    """Return the answer for a port on which those who look like intruders may be people whose address others share."""
    days = {
        wanted: sum(len(verdict.signed) for verdict in case.verdicts.values() if verdict.is_suspect is wanted)
        for wanted in (True, False)
    }
    if days[True] <= _MOST_SUSPECT * (days[True] + days[False]):
        return None
    known = wording.counted(sum(verdict.is_suspect for verdict in case.verdicts.values()), "source")
    return UNCLEAR, f"{known} signed in often, although there are signs against it: check those first"


def _doubtful(case: Case) -> tuple[str, str] | None:
    """Return the answer for a port on which too many of those who may be legitimate would be denied."""
    inside = prefixes.Inside(group.block for group in case.kept)
    doubtful = [
        key for key, verdict in case.verdicts.items() if _is_doubtful(case, key, verdict) and inside.find(*key) is None
    ]
    welcome = [key for key, verdict in case.verdicts.items() if verdict.welcome]
    unmeasured = [key for key in doubtful if _is_unmeasured(case, case.activities[key])]
    if unmeasured:
        often = wording.counted(len(unmeasured), "source")
        return (
            UNCLEAR,
            f"{often} came often, and what was transferred is not known: keep it open, and check its sources",
        )
    days, known_days = (_days(case, keys) for keys in (doubtful, welcome))
    count, known_count = (sum(case.activities[key].count for key in keys) for keys in (doubtful, welcome))
    if days <= known_days or count <= _DOUBTFUL_SHARE * known_count:
        return None
    return UNCLEAR, (
        f"{wording.counted(len(doubtful), 'source')} may be legitimate as well as {len(welcome):,} that "
        f"{'is' if len(welcome) == 1 else 'are'}: keep it open, and check its sources"
    )


def _is_doubtful(case: Case, key: Key, verdict: Verdict) -> bool:
    if verdict.kind != judge.UNCLEAR or case.asked.known.sign_ins.is_known(case.port, case.activities[key].days):
        # Of those, it is known that they didn't sign in, or they are told as suspects.
        return False
    activity = case.activities[key]
    if verdict.is_idle and case.port in case.asked.known.ssh:
        return False
    if verdict.is_doubted and len(activity.days) < _REGULAR * case.days:
        return False
    return not verdict.is_against or not (activity.sized or activity.timed)


def _is_unmeasured(case: Case, activity: Activity) -> bool:
    """Say whether nothing tells if a source that comes often worked, where that decides about others."""
    return decided_by(case) == TRANSFER and activity.comes_often and not (activity.sized or activity.timed)


def _days(case: Case, keys: t.Iterable[Key]) -> int:
    return sum(len(case.activities[key].days) for key in keys)


def _sparse(case: Case) -> tuple[str, str] | None:
    """Return the answer for a port of SSH with a wide prefix around few sources of which only the transfer speaks."""
    if case.port not in case.asked.known.ssh or decided_by(case) != TRANSFER or _in_company(case.outlook):
        return None
    for group in case.kept:
        near = prefixes.NEIGHBOURHOODS[group.block.version][0]
        if not group.trusted and group.block.length < near and len(group.members) < _CROWD:
            few = wording.counted(len(group.members), "source")
            return UNCLEAR, f"{few} are spread over {group.block}, and its other addresses are unknown: keep it open"
    return None


def _moving(case: Case) -> tuple[str, str] | None:
    """Return the answer for a port whose legitimate sources come from ever other addresses."""
    outlook = case.outlook
    if _in_company(outlook) or outlook.risk <= _MOST_RISK[decided_by(case)]:
        return None
    held = f"{outlook.denied:,} of {wording.counted(outlook.visits, 'later visit')} would have been denied"
    return UNCLEAR, (
        "legitimate sources change their addresses more than prefixes can follow, or came too rarely to tell "
        f"({held} by what was seen earlier): keep it open, and check its sources"
    )


def _in_company(outlook: Outlook) -> bool:
    return outlook.visits >= _MANY_VISITS and outlook.denied <= _MOST_DENIED * outlook.visits


def _narrowed(case: Case) -> tuple[str, str]:
    lost, found = (sum(group.connections for group in part) for part in (case.left, [*case.kept, *case.left]))
    if lost:
        return PARTIAL, (
            f"{wording.counted(len(case.left), 'source or group', 'sources or groups')} of "
            f"{wording.share(lost, found)} of the legitimate connections found no room among "
            f"{case.asked.max_prefixes} prefixes"
        )
    return NARROW, f"all legitimate sources are within {wording.counted(len(case.kept), 'prefix', 'prefixes')}"
