# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules and review items of one list, as they are collected."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import steady
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.listed import Listed
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.reasons import WITHIN_WEEK, with_finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import (
    RecommendedRule,
    ReviewItem,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import PACKAGE, members
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.uses import Case, Use

# What ran on so few days of so few hosts was tried out; it is counted and not listed. The share is for packages.
_TRIED_DAYS = 3
_TRIED_HOSTS = 2
_TRIED_SHARE = 0.05
# Programs that came together and are named in a reason.
_NAMED = 5


class Judgement:
    """Rules and review items of one list. undecided: as in Role. software: features with a recommended package."""

    def __init__(self, case: Case, listed: Listed) -> None:
        self.case, self.listed = case, listed
        self.programs: t.Sequence[Program] = case.table.fleet.programs
        self.rules: list[RecommendedRule] = []
        self.undecided = 0
        self.software: set[int] = set()
        self._review: list[tuple[int, ReviewItem]] = []

    def package(self, use: Use, origin: str, refused: tuple[str, ...], *, unverified: bool = False) -> Rule:
        """Return a rule for a package."""
        key = use.entry.key
        return Rule(self.listed.name, key.name, key.manager, origin, unverified, except_sha256=refused)

    def content(self, program: Program) -> Rule:
        """Return a rule for the content of a program."""
        return Rule(self.listed.name, sha256=program.sha256, path=program.path, image=program.image)

    def recommend(self, use: Use, rule: Rule, files: t.Iterable[int], reason: str) -> None:
        """Recommend a rule. files: the programs that it covers."""
        paths = {steady.steady_path(self.programs[number].path) for number in files}
        self.rules.append(RecommendedRule(rule, len(paths), use.mask.bit_count(), reason))

    def decide(self, use: Use, shown: int, reasons: list[str], rule: Rule, is_risky: bool = False) -> None:
        """Have a person decide about an entry, unless it was only tried out."""
        is_suspicious = bool(with_finding(self.case, use))
        is_package = use.entry.key.kind == PACKAGE
        few = max(_TRIED_HOSTS, _TRIED_SHARE * use.of if is_package else 0)
        is_tried = use.mask.bit_count() <= few and max(use.days, default=0) <= _TRIED_DAYS
        if not use.hosts or (is_tried and not is_suspicious and not is_risky):
            self.undecided += 1
            return
        urgency = 1 if is_suspicious else 2 if is_risky or not is_package else 3
        self.review(urgency, shown, members(use.mask), reasons, rule)

    def review(self, urgency: int, shown: int, hosts: t.Iterable[int], reasons: list[str], rule: Rule) -> None:
        """Add an item for a program. urgency: 0 for the most urgent."""
        names = tuple(self.case.table.fleet.hosts[number].name for number in hosts)
        self._review.append((urgency, ReviewItem(self.programs[shown], names, tuple(reasons), rule)))

    def finish(self) -> tuple[tuple[RecommendedRule, ...], tuple[ReviewItem, ...]]:
        """Return the rules in the order of a file, and the review items, the most urgent first.

        What came to the same hosts together is one item.
        """
        rules = sorted(self.rules, key=lambda each: (not each.rule.package, each.rule))
        items: dict[tuple[t.Any, ...], ReviewItem] = {}
        ordered = sorted(self._review, key=lambda pair: (pair[0], -len(pair[1].hosts), pair[1].program.path))
        for number, (_urgency, item) in enumerate(ordered):
            key = _together(item) or (number,)
            if key in items:
                first = items[key]
                items[key] = dataclasses.replace(first, further=(*first.further, item.program))
            else:
                items[key] = item
        return tuple(rules), tuple(_with_further(item) for item in items.values())


def _with_further(item: ReviewItem) -> ReviewItem:
    """Return an item whose reasons name what came with it."""
    if not item.further:
        return item
    names = [program.path for program in item.further]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    reason = f"it came to the same hosts as {', '.join(names[:_NAMED])}{more}"
    return dataclasses.replace(item, reasons=(*item.reasons, reason))


def _together(item: ReviewItem) -> tuple[t.Any, ...]:
    """Return what items have in common that are one matter, nothing for an item of its own."""
    if item.rule.sha256 and item.program.package:
        return (item.hosts, item.reasons)
    if item.rule.sha256:
        return (item.hosts, item.program.path.rpartition("/")[0])
    if item.rule.package and len(item.hosts) > 1 and any(WITHIN_WEEK in reason for reason in item.reasons):
        return (item.hosts,)
    return ()
