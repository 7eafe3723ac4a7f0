# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each detection of audit analytics: what it raises, and what looks alike and must not."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import PLATFORMS

from tests.content.audit import harness

ALL = [case for platform in PLATFORMS for case in harness.load(platform)]


@pytest.mark.parametrize("case", ALL, ids=[case.title for case in ALL])
def test_a_case(case: harness.Case) -> None:
    # Here, too, for somebody who runs the cases of one rule: it says why a rule is not used.
    assert harness.rules(case.platform).problems == ()
    found = harness.rules(case.platform).raised(case.events)
    assert {raised.alert for raised in found} == case.alerts, found
    identity = harness.sources()[case.rule]["id"]
    assert (identity in {raised.rule for raised in found}) == case.raised, found
    if case.explained is not None:
        assert set(harness.sources()[case.rule]["bulwark"].get("explained_by", {})) == case.explained


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_rule_can_be_used(platform: str) -> None:
    assert harness.rules(platform).problems == ()
    assert harness.rules(platform).count >= len(detections.own_files(platform)) > 0


def test_a_host_gets_the_rules_of_its_platform_alone() -> None:
    numbers = {platform: range(len(harness.rules(platform).engine)) for platform in PLATFORMS}
    ids = {
        platform: {harness.rules(platform).engine.rule(number).id for number in numbers[platform]}
        for platform in PLATFORMS
    }
    for name, rule in harness.sources().items():
        assert [platform for platform in PLATFORMS if rule["id"] in ids[platform]] == [harness.platform_of(name)]


def test_every_rule_has_cases_for_and_against() -> None:
    findings = set(harness.sources()) - harness.components()
    assert {case.rule for case in ALL if case.raised} == findings
    assert {case.rule for case in ALL if not case.raised} == findings


def test_every_rule_says_what_it_finds_under_its_own_name() -> None:
    for stem, rule in harness.sources().items():
        assert rule.get("name", stem) == stem
        # A step raises nothing: it has no severity, and a title of its own in place of its alert's.
        step = stem in harness.components()
        for field in ("id", "description", "title" if step else "level"):
            assert rule[field], f"{stem}: {field}"
        assert step == ("level" not in rule) == ("alert" not in rule.get("bulwark", {})), stem


def test_every_technique_of_a_rule_is_listed() -> None:
    known = catalogue.load()
    engines = [harness.rules(platform).engine for platform in PLATFORMS]
    named = {name for engine in engines for number in range(len(engine)) for name in engine.rule(number).techniques}
    assert {known.technique(technique).technique for technique in named} == named
