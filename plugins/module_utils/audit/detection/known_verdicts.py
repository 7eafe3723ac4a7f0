# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts of events that are the same to the rules, remembered by key."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import raw_fields
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.call_shapes import NO_NUMBERS, Numbers
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import Verdict
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.raw_fields import Getter, Raw

# Of one generation; when it is full, the one before it is forgotten.
_MOST_KEYS = 20_000
_MOST_BYTES = 12 * 1024 * 1024
_MOST_WAYS = 2_000


class KeyVerdicts:
    """The verdicts of events with one key. asked: the fields beside the key that rules looked at."""

    __slots__ = ("asked", "verdicts")

    def __init__(self) -> None:
        self.asked: tuple[Getter, ...] = ()
        self.verdicts: dict[t.Any, Verdict] = {}


# Of a key for which no rule ever matches, as long as nothing beside the key speaks for one: most are like that.
_NEVER = KeyVerdicts()


class KnownVerdicts:
    """A table of two generations, of what is known of each key."""

    def __init__(self) -> None:
        self._known: dict[t.Any, KeyVerdicts] = {}
        self._older: dict[t.Any, KeyVerdicts] = {}
        self._bytes = 0

    def get(self, key: t.Any, beside: Numbers, raws: Raw) -> Verdict | None:
        """Return the verdict of an event, None where it is not known."""
        known = self._known.get(key) or self._older.get(key)
        if known is None:
            return None
        if known is _NEVER:
            return None if beside else ()
        values = (beside, tuple(raw_fields.value(getter, raws) for getter in known.asked)) if known.asked else beside
        return known.verdicts.get(values)

    def keep(
        self, key: t.Any, size: int, asked: tuple[Getter, ...], beside: Numbers, raws: Raw, verdict: Verdict
    ) -> None:
        """Remember a verdict. size: of the event. asked: the fields beside the key that the rules looked at."""
        known = self._known.get(key) or self._older.get(key)
        if key not in self._known:
            # A key is about a third of its event.
            self._bytes += size // 3
            if len(self._known) >= _MOST_KEYS or self._bytes > _MOST_BYTES:
                self._older, self._known = self._known, {}
                self._bytes = size // 3
        if known is None and not (asked or beside or verdict):
            self._known[key] = _NEVER
            return
        if known is None or known is _NEVER:
            before, known = known, KeyVerdicts()
            if before is _NEVER:
                known.verdicts[NO_NUMBERS] = ()
        self._known[key] = known
        if asked and not set(asked) <= set(known.asked):
            # The rules took another way this time: what they said before is compared with that, too, from now on.
            known.asked = tuple(dict.fromkeys(known.asked + asked))
            known.verdicts.clear()
        if len(known.verdicts) < _MOST_WAYS:
            values: t.Any = beside
            if known.asked:
                values = (beside, tuple(raw_fields.value(getter, raws) for getter in known.asked))
            known.verdicts[values] = verdict
