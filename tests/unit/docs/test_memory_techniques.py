# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation lists the techniques that memory scans are tested with, and what is seen of them."""

from __future__ import annotations

import inspect

import docutils.core
import docutils.nodes
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes

from tests.integration.memory_scan._techniques import document, starters
from tests.integration.memory_scan._techniques.table import TECHNIQUES, Technique


def test_the_page_is_what_the_tests_demand() -> None:
    command = "python -m tests.integration.memory_scan._techniques.document"
    assert document.PAGE.read_text(encoding="utf-8") == document.page(), f"run: {command}"


def test_the_page_has_a_row_for_each_technique() -> None:
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    parsed = docutils.core.publish_doctree(document.page().replace(":ref:", ""), settings_overrides=settings)
    assert len(list(parsed.findall(docutils.nodes.row))) == 1 + len(TECHNIQUES)


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda row: row.name)
def test_a_row_fits_the_content_and_has_a_starter(technique: Technique) -> None:
    known = subtypes.load()
    assert technique.subtypes
    assert technique.kind in {known[name].kind for name in technique.subtypes}
    assert inspect.isfunction(getattr(starters, technique.name))
