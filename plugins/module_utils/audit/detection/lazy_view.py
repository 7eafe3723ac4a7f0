# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A view of an event, as rules see it: its fields are made when a rule asks for them, and what was asked is noted.

Whether a rule matches depends on nothing but what it asked for. So ``verdicts`` can say of the next event that has
the same there, and whatever else, what the rules would say.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

Maker = t.Callable[[t.Any], t.Any]


class LazyView(t.Mapping[str, t.Any]):
    """The fields of one source. makers: by name, what makes a field of the subject; "" and () stand for no value."""

    __slots__ = ("_made", "_makers", "_subject", "asked", "source")

    def __init__(self, source: str, makers: t.Mapping[str, Maker], subject: t.Any) -> None:
        self.source = source
        self._makers = makers
        self._subject = subject
        self._made: dict[str, t.Any] = {}
        self.asked: dict[str, None] = {}

    @property
    def parent(self) -> Process | None:
        """Return the parent of the process that the event is of, as far as it is known."""
        subject = self._subject[0] if isinstance(self._subject, tuple) else self._subject
        return getattr(subject, "parent", None)

    def get(self, key: str, default: t.Any = None) -> t.Any:
        """Return a field's value, None where the event has none."""
        self.asked[key] = None
        made = self._made
        if key in made:
            return made[key]
        maker = self._makers.get(key)
        value = None if maker is None else maker(self._subject)
        if value in ("", ()):
            value = None
        made[key] = value
        return default if value is None else value

    def know(self, values: t.Mapping[str, t.Any]) -> None:
        """Take fields that were made before, of an event that is the same there."""
        self._made.update(values)

    def has(self, name: str) -> bool:
        """Return whether an event of this source may have a field."""
        return name in self._makers

    def __getitem__(self, name: str) -> t.Any:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> t.Iterator[str]:
        return (name for name in self._makers if self.get(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _name in self)


class RecordView(LazyView):
    """A record's fields as they are in the log, for rules that are written for those."""

    __slots__ = ()

    def __init__(self, source: str, fields: t.Mapping[str, t.Any]) -> None:
        super().__init__(source, {}, None)
        self._made = dict(fields)

    @property
    def fields(self) -> t.Mapping[str, t.Any]:
        return self._made

    def has(self, name: str) -> bool:
        return name in self._made

    def get(self, key: str, default: t.Any = None) -> t.Any:
        self.asked[key] = None
        return self._made.get(key, default)

    def __iter__(self) -> t.Iterator[str]:
        self.asked.update(dict.fromkeys(self._made))
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)
