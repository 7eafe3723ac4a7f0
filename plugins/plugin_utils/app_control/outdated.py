# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare allowlists with what the recommender says now: what to add, what nobody uses, what is new to decide. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import Lists, RoleList
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import (
    Recommendation,
    RecommendedRule,
    ReviewItem,
    Role,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet


@dataclasses.dataclass(frozen=True)
class Changes:
    """The differences between an allowlist and what is recommended now.

    add: rules that it does not have. unused: rules of programs that none of its hosts ran. review: what it neither
    allows nor lists for review. hosts_added, hosts_removed: of the role.
    """

    name: str
    add: tuple[RecommendedRule, ...]
    unused: tuple[Rule, ...]
    review: tuple[ReviewItem, ...]
    hosts_added: tuple[str, ...] = ()
    hosts_removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.unused or self.review or self.hosts_added or self.hosts_removed)


def of_lists(lists: Lists, recommendation: Recommendation, fleet: Fleet) -> list[Changes]:
    """Return the changes of each list that is recommended again, and what is unused in the others."""
    recommended = {role.name: role for role in recommendation.roles if not role.problem}
    changed = (of_role(each, recommended.get(each.name), fleet) for each in lists.roles)
    return [changes for changes in changed if changes]


def of_role(listed: RoleList, role: Role | None, fleet: Fleet) -> Changes:
    """Return the changes of one list. role: what is recommended in its place, None for nothing."""
    unused = unused_rules(listed.allow, _programs(listed, fleet))
    if role is None:
        return Changes(listed.name, (), unused, ())
    # A person let it run, or left it for review: neither is news.
    allowing = judge.Judge(Allowlist((listed.name,), listed.allow, ()), 0.0)
    reviewed = {each.program for each in listed.review}
    hosts, former = (set(() if role.distribution else names) for names in (role.hosts, listed.hosts))
    return Changes(
        name=listed.name,
        add=tuple(each for each in role.rules if not _has(listed.allow, each.rule)),
        unused=unused,
        review=tuple(
            each
            for each in role.review
            if judge.subject(each.program) not in reviewed and not allowing.judge(each.program, ()).allowed
        ),
        hosts_added=tuple(sorted(hosts - former)),
        hosts_removed=tuple(sorted(former - hosts)),
    )


def unused_rules(rules: t.Iterable[Rule], programs: t.Collection[Program]) -> tuple[Rule, ...]:
    """Return the rules that are about none of the programs that hosts ran; none where nothing is known of these."""
    if not programs:
        return ()
    packages = {(each.image, each.manager, each.package) for each in programs}
    digests = {(each.image, each.sha256) for each in programs}
    directories = {(each.image, above) for each in programs for above in _above(each.path)}

    def is_used(rule: Rule) -> bool:
        if rule.package:
            return (rule.image, rule.manager, rule.package) in packages
        return (rule.image, rule.directory) in directories if rule.directory else (rule.image, rule.sha256) in digests

    return tuple(rule for rule in rules if not is_used(rule))


def _programs(listed: RoleList, fleet: Fleet) -> list[Program]:
    """Return the programs of the hosts that a list is for."""
    if listed.distribution:
        hosts = [host for host in fleet.hosts if host.distribution == listed.distribution]
    else:
        hosts = [host for host in fleet.hosts if host.name in listed.hosts or listed.name in host.roles]
    indexes: set[int] = set()
    for host in hosts:
        indexes.update(host.programs)
    return [fleet.programs[index] for index in indexes]


def _above(path: str) -> t.Iterator[str]:
    above = path.rpartition("/")[0]
    while above:
        yield above
        above = above.rpartition("/")[0]


def _has(allowed: t.Iterable[Rule], rule: Rule) -> bool:
    """Return whether a list allows at least what a rule does."""
    return any(_is_as_wide(each, rule) or (each.directory and _is_below(rule, each)) for each in allowed)


def _is_as_wide(given: Rule, rule: Rule) -> bool:
    """Return whether a rule is the same as another one, or leaves out a condition of it."""
    relaxed = rule._replace(
        role=given.role,
        origin=given.origin and rule.origin,
        path=given.path and rule.path,
        allow_unverified=given.allow_unverified or rule.allow_unverified,
    )
    return relaxed == given


def _is_below(rule: Rule, given: Rule) -> bool:
    return given.image == rule.image and rule.directory.startswith(f"{given.directory}/")
