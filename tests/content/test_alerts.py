# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every alert of the catalogue: no fact stands twice, and none is missing."""

from __future__ import annotations

import collections
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue, rule_facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import PLATFORMS

from tests.content.audit import harness

ALERTS = list(catalogue.load())
# Columns, as many as a list of rules has for a title in a terminal of 80.
_LONGEST_TITLE = 64
FILES = sorted([*catalogue.CONTENT.glob("*/alerts.yml"), *catalogue.CONTENT.glob("*/controls/*.yml")])


def test_a_severity_stands_once_with_the_rules_or_with_the_alert() -> None:
    ruled = rule_facts.by_alert()
    twice = [alert.id for alert in ALERTS if alert.id in ruled and alert.severity is not None]
    assert twice == [], "rules raise these alerts, and each rule has its severity: remove it from alerts.yml"
    neither = [alert.id for alert in ALERTS if alert.id not in ruled and alert.severity is None]
    assert neither == [], "no rule raises these alerts: give them a severity in alerts.yml"


def test_a_technique_stands_once_with_the_rules_or_with_the_alert() -> None:
    ruled = rule_facts.by_alert()
    twice = [alert.id for alert in ALERTS if alert.id in ruled and alert.attack]
    assert twice == [], "rules raise these alerts, and each rule has its techniques: remove attack from alerts.yml"


def test_a_title_stands_once() -> None:
    titles = collections.Counter(alert.title for alert in ALERTS)
    assert [title for title, number in titles.items() if number > 1] == []
    by_id = {alert.id: alert.title for alert in ALERTS}
    same = [
        name
        for name, rule in harness.sources().items()
        if "title" in rule and rule["title"] == by_id.get(rule.get("bulwark", {}).get("alert"))
    ]
    assert same == [], "a rule without a title has its alert's: remove the title from these rules"


def test_a_title_of_a_rule_stands_once_and_fits_on_a_line() -> None:
    titles = [rule["title"] for rule in harness.sources().values() if "title" in rule]
    counts = collections.Counter(title.casefold() for title in titles)
    assert [title for title, number in counts.items() if number > 1] == []
    assert [title for title in titles if len(title) > _LONGEST_TITLE] == []


def test_every_alert_that_rules_raise_is_in_the_catalogue() -> None:
    assert sorted(set(rule_facts.by_alert()) - {alert.id for alert in ALERTS}) == []


def test_what_the_reference_shows_of_rules_is_what_hosts_get() -> None:
    severities: dict[str, set[str | None]] = collections.defaultdict(set)
    techniques: dict[str, set[str]] = collections.defaultdict(set)
    engines = [harness.rules(platform).engine for platform in PLATFORMS]
    for rule in (engine.rule(number) for engine in engines for number in range(len(engine))):
        if not rule.component:
            severities[rule.alert].add(rule.severity)
            techniques[rule.alert].update(rule.techniques)
    shown = {alert: facts for alert, facts in rule_facts.by_alert().items() if alert in severities}
    assert {alert: set(facts.severities) for alert, facts in shown.items()} == severities
    assert {alert: {reference.technique for reference in facts.attack} for alert, facts in shown.items()} == techniques
    for facts in shown.values():
        assert list(facts.severities) == sorted(facts.severities, key=SEVERITIES.index)


def test_every_alert_is_raised_by_content_or_by_code() -> None:
    raised = set(rule_facts.by_alert())
    for file in sorted(catalogue.CONTENT.rglob("*.yml")):
        raised.update(re.findall(r"(?m)^ +alert: (\w+)$", file.read_text(encoding="utf-8")))
    code = [file for suffix in ("py", "cs") for file in catalogue.CONTENT.parents[1].rglob(f"*.{suffix}")]
    for file in sorted(code):
        raised.update(re.findall(r'"([a-z][a-z0-9_]+)"', file.read_text(encoding="utf-8")))
    assert sorted(alert.id for alert in ALERTS if alert.id not in raised) == []


@pytest.mark.parametrize(
    "file", [*FILES, catalogue.CONTENT / "attack.yml"], ids=lambda file: f"{file.parent.name}-{file.name}"
)
def test_no_key_is_there_twice(file: pathlib.Path) -> None:
    assert list(_twice(yaml.compose(file.read_text(encoding="utf-8")))) == []


def _twice(node: yaml.Node | None) -> t.Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        names = collections.Counter(key.value for key, _value in node.value)
        yield from (name for name, number in names.items() if number > 1)
        for _key, value in node.value:
            yield from _twice(value)
