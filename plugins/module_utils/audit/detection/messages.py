# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules say of records that stand alone: those of user space, and some of the kernel's."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import raw_fields, record_views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lru_cache import LruCache
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.message_candidates import MessageFacts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.record_rules import RecordRules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import texts_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS

_MOST_KEPT = 10_000
_MOST_BYTES = 4 * 1024 * 1024
_LONGEST = 4_096
_ENTRY = 200

_MESSAGE = re.compile(
    rb"(?:node=\S+ )?type=\S+ msg=\S+ +(user )?(?:pid=\d+ )?(uid=\d+ auid=\d+ )?(?:ses=\d+ )?([^\n]*)\n\Z"
)

# Of each rule that matches: its number, the place of the view, subject and message.
Matches = t.List[t.Tuple[int, int, str, t.Optional[str]]]


class Messages:
    """Looks at such records, and remembers those for which no rule is."""

    def __init__(self, rules: RuleSet, compiled: t.Mapping[str, t.Any], record_rules: RecordRules) -> None:
        self._rules = rules
        self._facts = MessageFacts(compiled, record_rules)
        self._sources = rules.sources
        # What is another number each time, process and session, is not in a key.
        self._never: LruCache[t.Any, bool]
        self.forget()

    def forget(self) -> None:
        self._never = LruCache(_MOST_KEPT, _MOST_BYTES)

    def look(self, event: Event) -> tuple[Matches, list[LazyView]]:
        """Return which rules match, and the views that they match."""
        raw, kind = event.raw, event.first
        found = _MESSAGE.match(raw)
        key = None if found is None else (kind, *found.groups())
        if key is not None:
            if self._never.newer.get(key) or self._never.get(key):
                return [], []
            if not self._facts.may_match(kind, raw):
                self._keep(key, raw)
                return [], []
        seen = self.views(event)
        rules = self._rules
        matches: Matches = []
        asked: set[str] = set()
        for place, view in enumerate(seen):
            source = view.source
            numbers = rules.always(source).union(
                *(rules.candidates(source, name, _indexed(view, name)) for name in rules.indexed(source))
            )
            matches += [
                (number, place, rules.subject(number, view), rules.message(number, view))
                for number in rules.try_rules(numbers, view)
            ]
            asked.update(view.asked)
        if key is not None and not matches and not raw_fields.MESSAGE_VARIES & asked:
            self._keep(key, raw)
        return matches, seen

    def views(self, event: Event) -> list[LazyView]:
        """Return the views of an event's records."""
        return [
            view
            for kind, body in event.records()
            for view in record_views.message_views(kind, body)
            if view.source in self._sources
        ]

    def _keep(self, key: t.Any, raw: bytes) -> None:
        if len(raw) <= _LONGEST:
            self._never.keep(key, True, _ENTRY + len(raw))


def _indexed(view: LazyView, name: str) -> t.Any:
    if name != ALL_FIELDS:
        return view.get(name)
    return "\0".join(" ".join(texts_of(view.get(field))) for field in view)
