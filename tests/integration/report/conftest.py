# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Chromium for all tests of a file; it is imported by the first of them, which says what it needs."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from tests.integration.report.browser import Browser


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Browser]:
    from tests.integration.report.browser import Browser

    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> t.Iterator[Browser]:
    chromium.media()
    yield chromium
    chromium.run("localStorage.clear()")
