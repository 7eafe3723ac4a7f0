# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the module ``host_scan``, all of which its action interprets."""

from __future__ import annotations

import typing as t


def scan_spec() -> dict[str, dict[str, t.Any]]:
    return {
        "capabilities": {"type": "list", "elements": "str"},
        "run": {"type": "str"},
        "store": {"type": "str"},
        "state_dir": {"type": "str"},
        "time_limit": {"type": "int", "default": 14400},
        "memory_limit": {"type": "int", "default": 1024},
    }
