# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option table in the guide of each destination has every option, with the default of the module."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds

from tests.support import paths

_GUIDES = paths.ROOT / "docs" / "docsite" / "rst"
_ROW = re.compile(r"^   \* - (.+(?:\n       .+)*)\n     - (.+(?:\n       .+)*)\n     - .", re.MULTILINE)
_HEAD = "   * - option\n     - default\n     - meaning\n"
# Defaults in words, of options without a default in the specification. "from": another option decides.
_WORDS = re.compile(r"none|the system's|that of the \w+|(?:from )?``\w+``")


def _documented(kind: str) -> dict[str, str]:
    """Return the defaults of a table by option; a row may have several options."""
    table = (_GUIDES / f"export_{kind}.rst").read_text(encoding="utf-8").partition(_HEAD)[2]
    table = table.partition("\n\n")[0]
    rows = [match.groups() for match in _ROW.finditer(table)]
    assert len(rows) == table.count("   * - "), "a row has a missing cell"
    return {name: default for names, default in rows for name in re.findall(r"``(\w+)``", names)}


def _shown(value: t.Any) -> str:
    """Return a default as the guides write it."""
    if isinstance(value, bool):
        return f"``{str(value).lower()}``"
    if isinstance(value, (int, float)):
        return f"{value:,.0f}"
    return f"``{value}``"


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_table_has_every_option_with_its_default(kind: str) -> None:
    arguments = kinds.load(kind).ARGUMENTS
    documented = _documented(kind)
    assert documented.keys() == arguments.keys()
    for name, option in arguments.items():
        if option.get("required"):
            assert documented[name] == "required", name
        elif option.get("default"):
            # Quotes mark text that YAML would read as a number.
            assert documented[name].replace("'", "") == _shown(option["default"]), name
        elif option.get("default") is False:
            assert documented[name] == "``false``", name
        elif name != "max_event":
            assert _WORDS.fullmatch(documented[name]), name
