# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each detection of audit analytics: what it raises, and what looks alike and must not."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue

from tests.content.audit import harness

ALL = harness.load()


@pytest.mark.parametrize("case", ALL, ids=[case.title for case in ALL])
def test_a_case(case: harness.Case) -> None:
    # Here, too, for somebody who runs the cases of one rule: it says why a rule is not used.
    assert harness.rules().problems == ()
    found = harness.rules().raised(case.events)
    assert {raised.alert for raised in found} == case.alerts, found
    identity = harness.sources()[case.rule]["id"]
    assert (identity in {raised.rule for raised in found}) == case.raised, found
    if case.explained is not None:
        assert set(harness.sources()[case.rule]["bulwark"].get("explained_by", {})) == case.explained


def test_every_rule_can_be_used() -> None:
    assert harness.rules().problems == ()
    assert harness.rules().count >= len(harness.sources()) > 0


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
    engine = harness.rules().engine
    named = {technique for number in range(len(engine)) for technique in engine.rule(number).techniques}
    assert {known.technique(technique).technique for technique in named} == named
