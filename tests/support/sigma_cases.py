# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden cases for both Sigma engines: nodes of compiled rules with views, and whether they match."""

from __future__ import annotations

import typing as t

import yaml

from tests.support import paths

_FILE = paths.ROOT / "tests" / "unit" / "sigma_cases.yml"


class Case(t.NamedTuple):
    """A node with views. expected: for each view, whether the node matches it."""

    node: list[t.Any]
    views: list[dict[str, t.Any]]
    expected: list[bool]


def load() -> list[Case]:
    """Return all cases."""
    entries = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return [
        Case(
            entry["node"],
            entry["matches"] + entry["misses"],
            [True] * len(entry["matches"]) + [False] * len(entry["misses"]),
        )
        for entry in entries
    ]
