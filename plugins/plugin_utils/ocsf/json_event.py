# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event that is decoded only when somebody looks into it: most receivers get its JSON as the store has it."""

from __future__ import annotations

import collections.abc
import json
import typing as t

_decode = json.JSONDecoder().raw_decode


class JsonEvent(collections.abc.Mapping[str, t.Any]):
    """An event as one compact line of JSON. It reads like a dict, and never changes.

    values: where in the text the values of some members begin; to read these decodes nothing else.
    """

    __slots__ = ("_members", "_values", "text")

    def __init__(self, text: str, values: t.Mapping[str, int]) -> None:
        self.text = text
        self._values = values
        self._members: dict[str, t.Any] | None = None

    def decoded(self) -> dict[str, t.Any]:
        """Return the event as a dict of its own."""
        return dict(self._decoded())

    def get(self, key: str, default: t.Any = None) -> t.Any:
        start = self._values.get(key)
        return self._decoded().get(key, default) if start is None else _decode(self.text, start)[0]

    def __getitem__(self, key: str) -> t.Any:
        return self._decoded()[key] if key not in self._values else self.get(key)

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._decoded())

    def __len__(self) -> int:
        return len(self._decoded())

    def _decoded(self) -> dict[str, t.Any]:
        if self._members is None:
            self._members = json.loads(self.text)
        return self._members


def decoded(event: t.Any) -> t.Any:
    """Return an event that was not decoded yet as a dict, and anything else as it is."""
    return event.decoded() if isinstance(event, JsonEvent) else event
