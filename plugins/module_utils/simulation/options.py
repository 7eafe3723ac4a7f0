# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of attack_simulation, as its documentation describes them."""

from __future__ import annotations

import typing as t

# Numbers of the accounts that simulations sign in as: above those that directories give, and below 2^31.
PEOPLE = 2_147_000_000


def apply_spec() -> dict[str, dict[str, t.Any]]:
    return {
        "alerts": {"type": "list", "elements": "str"},
        "confirm": {"type": "bool", "default": False},
        "state_dir": {"type": "path"},
        "state_dirs": {"type": "dict", "default": {}},
        "lock_timeout": {"type": "int", "default": 60},
        "store": {"type": "str"},
        "_simulations": {"type": "list", "elements": "dict"},
    }
