# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation lists the ways to run code that are tested, and what reports them."""

from __future__ import annotations

import docutils.core
import docutils.nodes
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue

from tests.integration.app_control._ways import document, starters
from tests.integration.app_control._ways.table import WAYS
from tests.integration.app_control._ways.way import Way


def test_the_page_is_what_the_tests_demand() -> None:
    command = "python -m tests.integration.app_control._ways.document"
    assert document.PAGE.read_text(encoding="utf-8") == document.page(), f"run: {command}"


def test_the_page_has_a_row_for_each_script() -> None:
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    parsed = docutils.core.publish_doctree(document.page().replace(":ref:", ""), settings_overrides=settings)
    assert len(list(parsed.findall(docutils.nodes.row))) == 1 + len(WAYS)
    scripts = [*starters.SCRIPTS, *starters.IN_CONTAINER, *starters.IN_UNKNOWN_CONTAINER]
    assert sorted(way.name for way in WAYS) == sorted(scripts)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_row_names_alerts_of_the_catalogue(way: Way) -> None:
    known = catalogue.load()
    for alert in way.control:
        assert known.alert(alert).capability == "app_control"
    for each in way.others:
        capability, alert = each.split(": ")
        assert known.alert(alert).capability == capability
