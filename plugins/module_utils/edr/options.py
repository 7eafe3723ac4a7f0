# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of edr_info, for the module and its action plugin."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options, reading_spec

# In the place of a product in ``expected``: any that protects or watches the host.
ANY = "any"


@dataclasses.dataclass(frozen=True)
class Options:
    """The options, parsed.

    expected: ids of products, or ``ANY``. content_age, expiry_days: days, 0 for never. accepted_exclusions: values of
    exclusions that are no finding. command_timeout: seconds for each command of a product. time_budget: seconds for
    all of them, 0 for no limit.
    """

    expected: tuple[str, ...]
    content_age: int
    expiry_days: int
    accepted_exclusions: frozenset[str]
    command_timeout: int
    time_budget: int
    idle: bool


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of edr_info, as the module's documentation describes it."""
    return {
        **reading_spec(),
        "expected": {"type": "list", "elements": "str", "default": [ANY]},
        "content_age": {"type": "int", "default": 7},
        "expiry_days": {"type": "int", "default": 30},
        "accepted_exclusions": {"type": "list", "elements": "str", "default": []},
        "command_timeout": {"type": "int", "default": 10},
        "time_budget": {"type": "int", "default": 60},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "_content": {"type": "str"},
    }


def parse(params: t.Mapping[str, t.Any]) -> Options:
    """Parse validated options of edr_info. Raises UsageError."""
    check_options(params, ("state_dir",), {"content_age": 0, "expiry_days": 0, "command_timeout": 1, "time_budget": 0})
    for name in params["expected"]:
        if not name.strip():
            raise UsageError("expected: an entry is empty; name a product, or use [] to expect none")
    return Options(
        expected=tuple(dict.fromkeys(params["expected"])),
        content_age=params["content_age"],
        expiry_days=params["expiry_days"],
        accepted_exclusions=frozenset(params["accepted_exclusions"]),
        command_timeout=params["command_timeout"],
        time_budget=params["time_budget"],
        idle=params["priority"] == "idle",
    )
