# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that name known automation, as the documentation fragment ``automation`` describes them."""

from __future__ import annotations

import typing as t


def automation_spec() -> dict[str, dict[str, t.Any]]:
    return {
        "automation_users": {"type": "list", "elements": "str", "default": []},
        "automation_addresses": {"type": "list", "elements": "str", "default": []},
        "automation_units": {"type": "list", "elements": "str", "default": []},
    }
