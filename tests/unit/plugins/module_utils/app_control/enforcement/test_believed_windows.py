# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A maintenance window that root on a host wrote itself explains nothing for longer than a real one could last."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.inspect import is_believed
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.window import Window

NOW = 1_000_000.0
HOUR = 3600.0
OPEN = Window(NOW - HOUR, NOW + HOUR, "ann", "CHG-1", "token", "boot")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"until": NOW + 23 * HOUR}, True),
        ({"until": NOW + 24 * HOUR}, False),
        ({"opened": NOW - 3 * HOUR, "until": NOW - HOUR}, False),
        ({"opened": NOW + 10 * HOUR, "until": NOW + 11 * HOUR}, False),
        ({"ended": NOW}, False),
        ({"problem": "the process that ends it is gone"}, False),
    ],
)
def test_windows_that_are_open(changes: dict[str, t.Any], expected: bool) -> None:
    assert is_believed(OPEN._replace(**changes), NOW) is expected
