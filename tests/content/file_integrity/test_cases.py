# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert of file integrity monitoring: what raises it, and what looks alike and must not."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content, fields

from tests.content.file_integrity import harness, test_engine_alerts, windows_harness

ALL = harness.load()


@pytest.mark.parametrize("case", ALL, ids=[case.title for case in ALL])
def test_a_case(case: harness.Case) -> None:
    verdict = harness.verdict(case)
    assert harness.becomes(verdict) == case.becomes, verdict
    if case.severity is not None:
        assert verdict.severity == case.severity, verdict
    for text in case.fields.get("says", ()):
        assert text in verdict.message
    for technique in case.fields.get("techniques", ()):
        assert technique in verdict.techniques


def test_every_alert_has_cases_for_and_against() -> None:
    mine = [alert for alert in catalogue.load() if alert.capability == fields.CAPABILITY]
    only_windows = {alert.id for alert in mine if set(alert.platforms) == {content.WINDOWS}}
    windows = windows_harness.load()
    assert {case.alert for case in windows if case.becomes == case.alert} == only_windows
    assert {case.alert for case in windows if case.becomes != case.alert} == only_windows

    raised = {case.alert for case in ALL if case.becomes == case.alert}
    not_raised = {case.alert for case in ALL if case.becomes != case.alert}
    alerts = {alert.id for alert in mine} - only_windows
    # The controller raises that one (tests/unit/plugins/plugin_utils/scan/test_tampering.py), of no change of a file.
    proven = test_engine_alerts.PROVEN | {"scan_code_changed"}
    assert raised | proven == alerts
    assert not_raised | proven == alerts
    assert not raised & proven


def test_every_technique_that_a_verdict_adds_is_listed() -> None:
    found = {technique for case in ALL for technique in harness.verdict(case).techniques}
    assert found
    assert {catalogue.load().technique(technique).technique for technique in found} == found


def test_every_derived_rule_has_a_case_that_it_explains_or_claims() -> None:
    messages = [harness.verdict(case).message for case in ALL]
    for rule in content.load_derived():
        said = f"follows from package changes: {rule['description']}"
        assert any(said in message for message in messages), rule["name"]
