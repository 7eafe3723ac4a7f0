# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on Windows event logs names each variable of the role once, and only alerts and groups that there are."""

from __future__ import annotations

import collections
import importlib
import re

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS

from tests.content.audit import harness
from tests.support import paths

_GUIDE = (paths.ROOT / "docs/docsite/rst/windows_events.rst").read_text(encoding="utf-8")


def section(title: str) -> str:
    (text,) = re.findall(rf"^{re.escape(title)}\n-+\n(.+?)\n-----", _GUIDE, re.MULTILINE | re.DOTALL)
    return str(text)


def test_it_says_of_each_variable_whether_it_is_for_windows() -> None:
    given = yaml.safe_load((paths.ROOT / "roles" / "audit" / "defaults" / "main.yml").read_text())
    named = re.findall(r"``(audit_\w+)``", section("Variables"))
    assert len(named) == len(set(named))
    assert set(given) <= set(named)


def test_the_alerts_and_groups_that_it_names_exist() -> None:
    alerts = re.findall(r"^   \* - ``(\w+)``$", section("Gaps, cleared logs and replaced logs"), re.MULTILINE)
    assert len(alerts) > 4
    assert set(alerts) <= {alert.id for alert in catalogue.load()}
    groups = re.findall(r"[Gg]roups? ``(\w+)``", _GUIDE)
    assert len(groups) > 2
    assert set(groups) <= windows_policy.load().keys()


def test_it_counts_the_rules_that_need_sysmon_or_command_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(paths.ROOT / "tools"))
    reference = importlib.import_module("windows_reference")
    payload = harness.rules(WINDOWS).payload
    names = {rule["id"]: rule["name"] for rule in harness.sources().values()}
    ways = reference.by_rule(payload, names)
    raising = [rule for rule in [*payload["rules"], *payload["correlations"]] if not rule.get("component")]
    titles = collections.defaultdict(set)
    for rule in raising:
        builtin = [way for way in ways[names[rule["id"]]] if reference.SYSMON not in way]
        if all("command_lines" in way for way in builtin):
            titles["Sysmon or command lines in 4688" if builtin else "Sysmon"].add(rule["title"])
    shown = re.findall(
        r"^   (Sysmon.*): not recorded on this host: (\d+) rules need it, as (.+\n.+)$", _GUIDE, re.MULTILINE
    )
    assert {what: int(number) for what, number, _examples in shown} == {what: len(of) for what, of in titles.items()}
    for what, _number, examples in shown:
        quoted = set(re.findall("'(.+?)'", " ".join(examples.split())))
        assert len(quoted) == 3
        assert quoted <= titles[what]
    assert "nearly four in ten of the collection's Windows rules" in " ".join(_GUIDE.split())
    assert 0.36 <= len(titles["Sysmon or command lines in 4688"]) / len(raising) < 0.4
