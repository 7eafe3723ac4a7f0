# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons to have a person decide about an entry, each a list of sentences that is empty where it does not apply."""

from __future__ import annotations

import bisect

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import DAY
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.uses import Case, Use

# What so many of the hosts of a list run is common.
_COMMON = 0.8
# What so many of the hosts got within a week, long after they were first observed, was brought by somebody.
_TOGETHER = 0.6
_WEEK = 7 * DAY
_LATE = 3 * DAY
WITHIN_WEEK = "ran it for the first time within a week"
_NEAR_FINDING = DAY
# An alert about what so many of the hosts run would be noise.
_MOST = 0.5


def rarity(case: Case, use: Use) -> list[str]:
    """Return that few hosts run it."""
    count = len(use.hosts)
    if use.mask.bit_count() == 1:
        return ["only one host runs it"]
    if count < case.options.minimum_hosts:
        return [f"only {count} hosts that were observed for long enough run it"]
    return []


def brought(case: Case, use: Use) -> list[str]:
    """Return that somebody brought it to some hosts within days, which an intruder does, and who installs something."""
    if use.share >= _COMMON:
        return []
    hosts = case.table.fleet.hosts
    late = sorted(
        first for number, first in zip(use.hosts, use.firsts, strict=True) if first - hosts[number].since > _LATE
    )
    most = max((bisect.bisect_right(late, first + _WEEK) - index for index, first in enumerate(late)), default=0)
    if most < 2 or most < _TOGETHER * len(use.hosts):
        return []
    return [f"{most} of {len(use.hosts)} hosts {WITHIN_WEEK}, days after they were first observed"]


def with_finding(case: Case, use: Use) -> list[str]:
    """Return that it came at the time of an open finding."""
    hosts = case.table.fleet.hosts
    near = []
    for number, first in zip(use.hosts, use.firsts, strict=True):
        host = hosts[number]
        if first - host.since > DAY:
            near += [
                (host.name, finding.title)
                for finding in case.findings.get(host.name, ())
                if abs(finding.time - first) <= _NEAR_FINDING
            ][:1]
    if near and 2 * len(near) >= len(use.hosts):
        name, title = near[0]
        return [f"it ran for the first time on {name} within a day of an open finding: {title}"]
    return []


def danger(case: Case, use: Use) -> tuple[str, bool]:
    """Return what an intruder would do with it, and whether most hosts need it anyway."""
    uses = {case.risky.use_of(case.table.fleet.programs[number]) for number in use.programs} - {""}
    if not uses:
        return "", True
    return min(uses), use.share >= _MOST


def summary(use: Use, harm: str = "") -> str:
    """Return how many hosts run it, and what an intruder would do with it."""
    hosts = "all" if len(use.hosts) == use.of else f"{len(use.hosts)} of"
    text = f"{hosts} {use.of} hosts run it"
    return f"{text}; beware: {harm}" if harm else text
