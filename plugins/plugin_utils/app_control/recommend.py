# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommend roles, and an allowlist for each, from the programs that a fleet ran. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import (
    features,
    listed,
    risky,
    roles,
    table,
    verdicts,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.listed import Listed
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding, Options, Previous
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommendation import Recommendation, Role
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.risky import RiskyPrograms
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import bits, members
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.uses import Case
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet


def recommend(
    fleet: Fleet,
    options: Options | None = None,
    previous: Previous | None = None,
    findings: t.Iterable[OpenFinding] = (),
    known_risks: RiskyPrograms | None = None,
) -> Recommendation:
    """Return the roles of the fleet, who has them, and what to allow.

    previous: the roles of the allowlists that are there, which keep their name and hosts as far as that is still true.
    findings: those that are open. known_risks: by default, those of the collection.
    """
    options = options or Options()
    known_risks = known_risks or risky.load()
    facts = table.build(fleet)
    found_features, feature_of = features.collect(facts, known_risks)
    grouping = roles.group(fleet, found_features, previous or {})
    learned = bits(number for number, host in enumerate(fleet.hosts) if host.days >= options.minimum_days)
    bases, lists = listed.distribute(facts, grouping, learned)
    case = Case(facts, options, known_risks, findings, feature_of, grouping.distributions)
    recommended = [_role(case, listing) for listing in (*bases, *lists)]
    names: list[list[str]] = [[] for _host in fleet.hosts]
    for role, listing in zip(recommended, (*bases, *lists), strict=True):
        for number in members(listing.hosts):
            names[number].append(role.name)
    return Recommendation(
        tuple(recommended),
        {host.name: tuple(some) for host, some in zip(fleet.hosts, names, strict=True)},
        {
            host.name: f"it was observed on {host.days} days, and app_control_minimum_days is {options.minimum_days}"
            for host in fleet.hosts
            if host.days < options.minimum_days
        },
    )


def _role(case: Case, listing: Listed) -> Role:
    fleet, options = case.table.fleet, case.options
    name = f"base-{re.sub(r'[^a-z0-9.]+', '-', listing.distribution.lower())}" if listing.distribution else listing.name
    listing.name = name
    hosts = tuple(fleet.hosts[number].name for number in members(listing.hosts))
    problem = _problem(listing, options)
    if problem:
        return Role(name, listing.distribution, hosts, (), (), problem)
    judgement = verdicts.judge(case, listing)
    rules, review = judgement.finish()
    return Role(
        name,
        listing.distribution,
        hosts,
        rules,
        review[: options.max_review],
        "",
        max(0, len(review) - options.max_review),
        len(judgement.undecided),
    )


def _problem(listing: Listed, options: Options) -> str:
    count, learned = listing.hosts.bit_count(), listing.learned.bit_count()
    thing = "distribution" if listing.distribution else "role"
    if count < options.minimum_hosts:
        hosts = "1 host has" if count == 1 else f"{count} hosts have"
        return f"only {hosts} this {thing}, and app_control_minimum_hosts is {options.minimum_hosts}"
    if learned < options.minimum_hosts:
        return (
            f"not enough data yet: {learned} of {count} hosts were observed for {options.minimum_days} days, and"
            f" app_control_minimum_hosts is {options.minimum_hosts}"
        )
    return ""
