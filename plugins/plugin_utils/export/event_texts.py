# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut the long texts of an event, except those that must stay whole."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import shortening

# Never cut these: members by their names, wherever they are, with everything in them ...
_WHOLE = frozenset({"metadata", "device", "remediation", "notes", "cve", "advisory", "analytic", "attacks"})
# ... and single texts, which identify something, or of which a half has another meaning.
_WHOLE_TEXTS = frozenset(
    {
        *("uid", "hostname", "ip", "type", "severity", "status", "disposition", "action", "title", "value"),
        *("activity_name", "category_name", "class_name", "type_name"),
        *("alert", "capability", "kind", "change", "run", "before_severity", "lifecycle", "status_code"),
    }
)


def shortened(event: t.Mapping[str, t.Any], longest: int) -> tuple[dict[str, t.Any], int]:
    """Return an event whose texts are cut to a length, and how many had to be."""
    shortener = _Shortener(longest)
    return shortener.cut(event), shortener.number


class _Shortener:
    """Cut the long texts of an event, and count them."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.number = 0

    def cut(self, event: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return {key: self._member(key, value) for key, value in event.items()}

    def _member(self, key: t.Any, value: t.Any) -> t.Any:
        return value if key in _WHOLE else self._value(key, value)

    def _value(self, key: t.Any, value: t.Any) -> t.Any:
        if isinstance(value, str):
            if len(value) <= self._longest or key in _WHOLE_TEXTS:
                return value
            self.number += 1
            return shortening.cut(value, self._longest)
        if isinstance(value, dict):
            return {name: self._member(name, member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(key, item) for item in value]
        return value
