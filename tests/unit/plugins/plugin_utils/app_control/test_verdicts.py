# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that ran is lost: each package and file of a list has a rule, a review item, or is counted."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import (
    features,
    listed,
    risky,
    roles,
    steady,
    table,
    verdicts,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.judgement import Judgement
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding, Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.recommend import recommend
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import DIRECTORY, PACKAGE, PATH, Key
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.uses import Case
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet

from tests.bench import _app_worlds
from tests.unit.plugins.plugin_utils.app_control.fleets import Builder, Seen, packaged, unpackaged


def _judgements(fleet: Fleet, options: Options, findings: t.Iterable[OpenFinding] = ()) -> list[Judgement]:
    """Return what becomes of the lists of a fleet."""
    facts, known_risks = table.build(fleet), risky.load()
    found, feature_of = features.collect(facts, known_risks)
    grouping = roles.group(fleet, found, {})
    learned = table.bits(number for number, host in enumerate(fleet.hosts) if host.days >= options.minimum_days)
    case = Case(facts, options, known_risks, findings, feature_of, grouping.distributions)
    bases, lists = listed.distribute(facts, grouping, learned)
    return [verdicts.judge(case, each) for each in (*bases, *lists)]


def _key(rule: Rule) -> Key:
    if rule.package:
        return Key(PACKAGE, rule.package, rule.manager)
    if rule.directory:
        return Key(DIRECTORY, steady.own_directory(f"{rule.directory}/x"))
    return Key(PATH, steady.steady_path(rule.path))


def _named(judgement: Judgement) -> set[Key | None]:
    """Return what the rules and review items are about."""
    rules, review = judgement.finish()
    reviewed = [program for item in review for program in (item.program, *item.further)]
    return {*(_key(one.rule) for one in rules), *(table.key_of(program) for program in reviewed)}


def _assert_nothing_is_lost(fleet: Fleet, options: Options, findings: t.Iterable[OpenFinding] = ()) -> None:
    of_hosts: dict[int, set[Key | None]] = {number: set() for number in range(len(fleet.hosts))}
    for judgement in _judgements(fleet, options, findings):
        entries = judgement.case.table.entries
        assert _named(judgement) | judgement.undecided == {entries[number].key for number in judgement.listed.entries}
        for number, hosts in judgement.listed.entries.items():
            for host in table.members(hosts):
                of_hosts[host].add(entries[number].key)
    for number, host in enumerate(fleet.hosts):
        assert of_hosts[number] == {table.key_of(fleet.programs[program]) for program in host.programs} - {None}


@pytest.mark.parametrize("seed", [1, 7, 13])
@pytest.mark.parametrize("options", [Options(), Options(minimum_hosts=1, minimum_days=1)])
def test_all_programs_of_a_fleet_have_a_rule_or_an_item_or_are_counted(seed: int, options: Options) -> None:
    world = _app_worlds.world(seed, hosts=60)
    _assert_nothing_is_lost(world.fleet, options, [OpenFinding(*finding) for finding in world.findings])


def _single(*programs: t.Any) -> Fleet:
    built = Builder()
    built.host("web1", *(packaged(f"tool{'abcdefghij'[number]}") for number in range(10)), *programs, days=2)
    return built.fleet()


def test_packages_of_the_only_host_are_recommended_where_one_host_is_enough() -> None:
    fleet = _single(Seen(packaged("rare"), 1, 1), unpackaged("/root/try.sh"))
    options = Options(minimum_hosts=1, minimum_days=1, max_review=1000)
    (base,) = recommend(fleet, options).roles
    assert {one.rule.package for one in base.rules} == {program.package for program in fleet.programs} - {""}
    assert {one.reason for one in base.rules} == {"the only host runs it"}
    assert (base.review, base.left_out, base.undecided) == ((), 0, 1)
    _assert_nothing_is_lost(fleet, options)


def test_package_of_which_nothing_is_known_is_counted() -> None:
    gone = packaged("gone", sha256="", verification=_program.UNKNOWN, content=_program.GONE)
    options = Options(minimum_hosts=1, minimum_days=1)
    (base,) = recommend(_single(gone), options).roles
    assert base.undecided == 1
    _assert_nothing_is_lost(_single(gone), options)
