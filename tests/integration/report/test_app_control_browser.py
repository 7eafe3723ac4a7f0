# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allowlists and programs in a real Chromium: any width, any colour scheme, and the way to a finding."""

from __future__ import annotations

import pytest

from tests.support import require
from tests.unit.plugins.plugin_utils.report import app_control_samples

require("chromium", "command:chromedriver", "module:selenium")

from tests.integration.report.browser import LOW_CONTRAST, Browser  # noqa: E402 - after the requirement it needs

_FLEET = app_control_samples.fleet()


@pytest.mark.parametrize("text", ["fleet", "\u202e" + "w" * 300 + "<script>"], ids=["fleet", "hostile"])
def test_no_screen_needs_sideways_scrolling(browser: Browser, text: str) -> None:
    browser.open(_FLEET if text == "fleet" else app_control_samples.hostile(text))
    for width in (320, 390, 768, 1021, 1280):
        browser.widen(width)
        assert browser.run("return document.documentElement.scrollWidth") == width
    assert browser.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, scheme: str) -> None:
    browser.media(scheme=scheme)
    browser.open(_FLEET)
    assert browser.run(LOW_CONTRAST) == []


def test_a_program_leads_to_its_findings(browser: Browser) -> None:
    browser.open(_FLEET)
    browser.find("#app-control .unapproved a").click()
    assert browser.result.startswith("2 of 20 findings")
    assert set(browser.texts("#finding-list .finding-subject")) == {"/tmp/.x/kworker"}
