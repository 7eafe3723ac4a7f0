# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories of the guide on Windows, as its reader copies them."""

from __future__ import annotations

import re
import textwrap
import typing as t

import yaml

from tests.support import paths

_GUIDE = paths.ROOT / "docs" / "docsite" / "rst" / "windows.rst"
_BLOCK = re.compile(r"^( *)\.\. code-block:: yaml\n\n((?:\1 {3}.*\n|\n)+)", re.MULTILINE)


def hosts() -> dict[str, dict[str, t.Any]]:
    """Return the variables of the hosts of both inventories: of the first steps, and of every connection."""
    blocks = [textwrap.dedent(match[2]) for match in _BLOCK.finditer(_GUIDE.read_text(encoding="utf-8"))]
    first, every = [yaml.safe_load(block)["windows"]["hosts"] for block in blocks if block.startswith("windows:")]
    return {**first, **every}
