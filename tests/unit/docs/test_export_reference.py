# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of exported fields have every row of the mappings."""

from __future__ import annotations

import importlib
import pathlib
import types

import docutils.core
import docutils.nodes
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, rows

from tests.support import paths


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    monkeypatch.syspath_prepend(str(paths.ROOT / "tools"))
    return importlib.import_module("export_reference")


def parse(text: str) -> docutils.nodes.document:
    """Return the parsed text; what docutils has to say about it is an error."""
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    return docutils.core.publish_doctree(text, settings_overrides=settings)


def test_each_row_of_each_format_is_in_the_tables(reference: types.ModuleType, tmp_path: pathlib.Path) -> None:
    (tmp_path / "docs" / "docsite" / "rst").mkdir(parents=True)
    (tmp_path / "docs" / "docsite" / "extra-docs.yml").write_text("sections:\n", encoding="utf-8")
    assert reference.main([str(tmp_path)]) == 0
    page = parse((tmp_path / "docs" / "docsite" / "rst" / "export_fields.rst").read_text(encoding="utf-8"))
    formats = [path.parent.name for path in mapping.DIRECTORY.glob("*/detection.yml")]
    tables = [mapping.load(name, kind).rows for name in formats for kind in mapping.CLASSES.values()]
    assert len(list(page.findall(docutils.nodes.table))) == len(tables) >= 8
    assert len(list(page.findall(docutils.nodes.row))) == sum(len(table) + 1 for table in tables)
    assert "- ref: export_fields" in (tmp_path / "docs" / "docsite" / "extra-docs.yml").read_text(encoding="utf-8")


def test_a_row_says_all_that_it_does(reference: types.ModuleType) -> None:
    row = rows.parse(
        {
            "field": "cs1",
            "source": ["a.b", "c[].d|e"],
            "type": "text",
            "limit": 40,
            "too_long": "leave_out",
            "values": {"x": "y"},
            "otherwise": "z",
            "when": {"f": ["1", "2"], "g": "*"},
            "label": "A *label*",
            "versions": ["1.2"],
            "reference": "deviceCustomString1",
        },
        "row",
    )
    page = parse(reference.page({"cef": {"detection": [row]}}))
    cells = [entry.astext() for entry in list(page.findall(docutils.nodes.row))[1].findall(docutils.nodes.entry)]
    assert cells == [
        "cs1 (A *label*), version 1.2",
        "a.b, else c[].d|e; x is y; otherwise z; only if f is 1 or 2; only if g is there",
        "text",
        "40, or left out",
        "deviceCustomString1",
    ]
