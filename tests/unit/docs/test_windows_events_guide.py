# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on Windows event logs names each variable of the role once, and only alerts and groups that there are."""

from __future__ import annotations

import re

import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy

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
