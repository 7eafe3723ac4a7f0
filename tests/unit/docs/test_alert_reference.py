# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert reference has every alert of the catalogue, in reStructuredText that the documentation tools accept."""

from __future__ import annotations

import importlib
import types
import typing as t

import docutils.core
import docutils.nodes
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue, rule_facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert, AttackReference
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.subtypes import Subtype
from ansible_collections.bulwark.servers.plugins.plugin_utils.rule_facts import AlertFacts
from hypothesis import given
from hypothesis import strategies as st

from tests.support import paths
from tools import reference_page

HOSTILE = Alert(
    id="odd_text",
    title="A *title* with `marks` and trailing_",
    kind="alert",
    severity="high",
    capability="file_integrity",
    platforms=("linux",),
    lifecycle="state",
    attack=(AttackReference("TA0003", "Persistence", "T1543.002", "Create or Modify System Process: Systemd Service"),),
    description="First paragraph with |bars| and <angles>.\n\nSecond\nparagraph: ``literal`` and C:\\path.",
    remediation="No footnote: [1]_.",
    references=("https://example.com/a_b",),
)


@pytest.fixture(scope="module")
def tool() -> t.Iterator[types.ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(paths.ROOT / "tools"))
        yield importlib.import_module("alert_reference")


def parse(text: str) -> docutils.nodes.document:
    """Return the parsed text; what docutils has to say about it is an error."""
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    return docutils.core.publish_doctree(text, settings_overrides=settings)


def without_roles(text: str) -> str:
    """Return the page without Sphinx's references, which docutils alone does not know."""
    return text.replace(":ref:", "")


@pytest.mark.parametrize("alert", [HOSTILE, *catalogue.load()], ids=lambda alert: alert.id)
def test_an_alert_renders_to_its_own_words(tool: types.ModuleType, alert: Alert) -> None:
    facts = rule_facts.of_alert(alert)
    shown = parse(tool.entry(alert, facts, "no. It *takes* a `module`_.")).astext()
    words = " ".join(shown.split())
    for text in (alert.title, alert.description, alert.remediation, alert.id, facts.severity, *alert.platforms):
        assert " ".join(text.split()) in words
    for reference in facts.attack:
        assert f"{reference.tactic_name}, {reference.technique} {reference.technique_name}" in words
    assert "no. It *takes* a `module`_." in words


def test_the_page_has_every_alert_once_and_the_most_severe_first(tool: types.ModuleType) -> None:
    alerts = list(catalogue.load())
    facts = {alert.id: rule_facts.of_alert(alert) for alert in alerts}
    page = tool.page(capabilities.load(), alerts, facts, {alerts[0].id: "yes"}, {alerts[0].id: "Sysmon"})
    assert page.count(":Simulated: ") == page.count(":Windows needs: Sysmon\n") == 1
    document = parse(without_roles(page))
    assert [page.count(f":Id: ``{alert.id}``\n") for alert in alerts] == [1] * len(alerts)
    titles = [node.astext() for node in document.findall(docutils.nodes.title)]
    assert len(titles) == 2 + len({alert.capability for alert in alerts}) + len(alerts)
    severities = ["critical", "high", "medium", "low", "informational"]
    for capability in {alert.capability for alert in alerts}:
        own = [alert for alert in alerts if alert.capability == capability]
        order = sorted(own, key=lambda alert: page.index(f":Id: ``{alert.id}``"))
        ranks = [severities.index(facts[alert.id].severities[-1]) for alert in order]
        assert ranks == sorted(ranks)


def test_the_page_calls_capabilities_what_the_report_does_and_lists_them_all(tool: types.ModuleType) -> None:
    known = list(capabilities.load().values())
    hostile = Capability("odd", "A *title*_", "|bars|", ("linux",), ("learn",), (), (), ())
    words = " ".join(parse(tool.capability_table([*known, hostile])).astext().split())
    for one in (*known, hostile):
        playbooks, state = ", ".join(("scan", *one.playbooks)), ", ".join(one.state) or "none"
        assert f"{one.id} {one.title} {one.defender} {', '.join(one.platforms)} {playbooks} {state}" in words
    alert = next(iter(catalogue.load()))
    page = tool.page(capabilities.load(), [alert], {alert.id: rule_facts.of_alert(alert)}, {}, {})
    assert f"\n{capabilities.load()[alert.capability].title}\n---" in page


def test_an_alert_of_several_rules_shows_the_range_of_their_severities(tool: types.ModuleType) -> None:
    low = AlertFacts(("low",), ())
    assert ":Severity: low\n" in tool.entry(HOSTILE, low, "")
    mixed = AlertFacts(("low", "medium", "high"), HOSTILE.attack)
    assert ":Severity: low to high\n" in tool.entry(HOSTILE, mixed, "")


def test_the_table_has_every_subtype_of_memory_scans_in_its_own_words(tool: types.ModuleType) -> None:
    seen = list(subtypes.load().values())
    hostile = Subtype("odd", "behavior", "low", ("T1620",), "A *title*_", "Some |bars| and ``text``_.")
    table = tool.subtype_table([*seen, hostile])
    words = " ".join(parse(table).astext().split())
    for one in (*seen, hostile):
        assert table.count(f"``{one.id}``") == 1
        assert f"{one.title}. {' '.join(one.description.split())}" in words


@given(st.from_regex(r"[ -~]{1,60}", fullmatch=True).map(str.strip).filter(bool))
def test_escaped_text_stays_as_it_is(text: str) -> None:
    # Set after a word: what would begin a list, a title or a block at the start of a line is plain text there.
    assert " ".join(parse("word " + reference_page.escape(text)).astext().split()) == " ".join(f"word {text}".split())
