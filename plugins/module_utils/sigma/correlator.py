# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Correlations: what follows from matches of rules over time. Bounded, and what is forgotten for that is said."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma import windows
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import texts_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import (
    SIMULATION,
    Compiled,
    Explanation,
    View,
    rules_of,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.windows import Condition, Entry

STATE_VERSION = 1
# Groups that are remembered for one correlation: sources of a spread attack, users of a host.
MOST_GROUPS = 2000
_LONGEST_TEXT = 256
_RECENT = 4
_MOST_VALUES = 20
# What a finding shows of an event where the reader gives no evidence of its own.
_SHOWN = (
    "User",
    "AuditUser",
    "TargetUser",
    "SourceIp",
    "DestinationIp",
    "Service",
    "Method",
    "Image",
    "CommandLine",
    "TargetFilename",
    "Message",
)


class Match(t.NamedTuple):
    """A correlation that is true.

    rule: its number, for ``RuleSet.rule``. group: the fields that it groups by, with their values. view: those, and
    what is known of the last event, to make a subject and a message of. events: how many make it up, or where it was
    true before and still is (``continued``), how many came since; the sum is exact. values: distinct values that
    were counted, at most 20. evidences: of the first and the last events. explained: what explains
    the last event, where the correlation allows that kind; all its events are explained by that kind then.
    """

    rule: int
    group: dict[str, str]
    view: View
    first_time: float
    last_time: float
    events: int
    continued: bool
    values: tuple[str, ...]
    evidences: tuple[t.Any, ...]
    explained: Explanation | None = None


class _Group:
    __slots__ = ("entries", "fired", "first", "recent")

    def __init__(self, entries: list[Entry], fired: float | None, first: t.Any, recent: t.Iterable[t.Any]) -> None:
        self.entries = entries
        self.fired = fired
        self.first = first
        self.recent: collections.deque[t.Any] = collections.deque(recent, _RECENT)


class _Correlation:
    """A compiled correlation with the groups that it has seen, the one that was fed last at the end."""

    def __init__(self, number: int, entry: t.Mapping[str, t.Any]) -> None:
        self.number = number
        self.key: str = entry["key"]
        self.title: str = entry["title"]
        self.component = bool(entry.get("component"))
        self.parts: list[list[int]] = entry["parts"]
        self.group: list[dict[str, t.Any]] = entry["group"]
        self.values: list[str] = entry.get("values", [])
        # By part: the fields whose values make the group.
        self.fields = [[one["fields"][part] for one in self.group] for part in range(len(self.parts))]
        self.shown = dict.fromkeys([*_SHOWN, *self.values, *entry.get("subject", [])])
        self.condition = Condition(
            entry["type"],
            float(entry["span"]),
            len(self.parts),
            entry.get("operator", "gte"),
            int(entry.get("count", 1)),
            entry.get("expression"),
        )
        self.explained_by: t.Collection[str] = entry.get("explained_by", ())
        # By what explains their events, "" for nothing: groups of one kind never push out those of another.
        self.groups: dict[str, collections.OrderedDict[tuple[str, ...], _Group]] = {
            kind: collections.OrderedDict() for kind in ("", *self.explained_by, SIMULATION)
        }
        self.forgotten = 0

    def state_key(self, kind: str) -> str:
        """Return the name under which the state has the groups of a kind of explanation."""
        return "%s %s" % (self.key, kind) if kind else self.key


class Correlator:
    """Feed it each match of a rule; keep ``state()`` from one run to the next."""

    def __init__(self, compiled: Compiled, state: t.Mapping[str, t.Any] | None = None) -> None:
        """Raises ValueError for a state that is none."""
        self._rules = rules_of(compiled)
        offset = len(compiled["rules"])
        self._correlations = [
            _Correlation(offset + place, entry) for place, entry in enumerate(compiled.get("correlations", ()))
        ]
        self._by_rule: dict[int, list[tuple[_Correlation, int]]] = {}
        for correlation in self._correlations:
            for part, numbers in enumerate(correlation.parts):
                for number in numbers:
                    self._by_rule.setdefault(number, []).append((correlation, part))
        if state:
            self._restore(state)

    def wants(self, number: int) -> bool:
        """Return whether a rule is part of a correlation, so that its matches have to be fed."""
        return number in self._by_rule

    def kinds(self, number: int) -> frozenset[str]:
        """Return the kinds of explanations that matter to the correlations of which a rule is a part."""
        return frozenset(
            kind for correlation, _part in self._by_rule.get(number, ()) for kind in correlation.explained_by
        )

    def feed(
        self, number: int, time: float, view: View, evidence: t.Any = None, explained: Explanation | None = None
    ) -> list[Match]:
        """Take in that a rule matched, and return the correlations that are true with it.

        evidence: what findings show of the event, as JSON; some fields of the view where there is none. explained:
        what explains the event. Such events count in groups of their own, never with others.
        """
        found = []
        for correlation, part in self._by_rule.get(number, ()):
            match = self._feed(correlation, part, time, view, evidence, explained)
            if match is None:
                continue
            if not correlation.component:
                found.append(match)
            found += self.feed(correlation.number, time, match.view, match.evidences[-1], match.explained)
        return found

    def _feed(
        self,
        correlation: _Correlation,
        part: int,
        time: float,
        view: View,
        evidence: t.Any,
        explained: Explanation | None,
    ) -> Match | None:
        if explained is not None and explained.kind not in correlation.groups:
            explained = None
        shown = _shown(correlation, view) if evidence is None else evidence
        key = tuple([_text(view, field) for field in correlation.fields[part]])
        group = self._group(correlation, "" if explained is None else explained.kind, key, shown)
        value = "\0".join([_text(view, field) for field in correlation.values]) if correlation.values else ""
        entry = Entry(time, part, value, 1)
        correlation.forgotten += windows.add(group.entries, entry, correlation.condition)
        window = windows.satisfied(group.entries, time, correlation.condition)
        if window is None:
            return None
        names = {entry["name"]: value for entry, value in zip(correlation.group, key)}
        continued = group.fired is not None and abs(time - group.fired) <= correlation.condition.span
        group.fired = time if group.fired is None else max(group.fired, time)
        values = dict.fromkeys(entry.value.replace("\0", " ") for entry in reversed(window) if entry.value)
        return Match(
            rule=correlation.number,
            group=names,
            view=_MatchView(names, view, correlation.shown),
            first_time=time if continued else window[0].time,
            last_time=time if continued else window[-1].time,
            events=1 if continued else sum(entry.events for entry in window),
            continued=continued,
            values=tuple(values)[:_MOST_VALUES],
            evidences=(group.first, *group.recent) if group.recent else (group.first,),
            explained=explained,
        )

    def _group(self, correlation: _Correlation, kind: str, key: tuple[str, ...], shown: t.Any) -> _Group:
        """Return the group of an event with the event's evidence in it, as the one that was fed last."""
        groups = correlation.groups[kind]
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group([], None, shown, ())
            if len(groups) > MOST_GROUPS:
                groups.popitem(last=False)
                correlation.forgotten += 1
        else:
            group.recent.append(shown)
            groups.move_to_end(key)
        return group

    def problems(self) -> list[str]:
        """Return a sentence for each correlation that had to forget events it might have needed."""
        return [
            "correlation '%s' had to forget %d groups or values; it may have missed something"
            % (correlation.title, correlation.forgotten)
            for correlation in self._correlations
            if correlation.forgotten
        ]

    def state(self, now: float) -> dict[str, t.Any]:
        """Return what the next run has to know, as JSON. now: what is older than a time span by then is left out."""
        kept = {}
        for correlation in self._correlations:
            oldest = now - 2 * correlation.condition.span
            for kind, of_kind in correlation.groups.items():
                groups = _groups_state(of_kind, oldest)
                if groups:
                    kept[correlation.state_key(kind)] = groups
        return {"version": STATE_VERSION, "correlations": kept}

    def _restore(self, state: t.Mapping[str, t.Any]) -> None:
        if state.get("version") != STATE_VERSION:
            raise ValueError("the state of correlations has version %s" % state.get("version"))
        try:
            for correlation in self._correlations:
                # Of a correlation that was changed since, nothing is there: its key is another one.
                for kind, of_kind in correlation.groups.items():
                    groups = state["correlations"].get(correlation.state_key(kind), ())
                    for key, fired, first, recent, entries in groups:
                        of_kind[tuple(key)] = _Group([Entry(*entry) for entry in entries], fired, first, recent)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError("the state of correlations is damaged: %s" % error) from error


def _groups_state(groups: t.Mapping[tuple[str, ...], _Group], oldest: float) -> list[t.Any]:
    return [
        [list(key), group.fired, group.first, list(group.recent), [list(entry) for entry in group.entries]]
        for key, group in groups.items()
        if group.entries and group.entries[-1].time >= oldest
    ]


class _MatchView(t.Mapping[str, t.Any]):
    """What is known of a match: its group, and fields of its last event, made when they are asked for."""

    __slots__ = ("_group", "_shown", "_view")

    def __init__(self, group: t.Mapping[str, str], view: View, shown: t.Mapping[str, None]) -> None:
        self._group, self._view, self._shown = group, view, shown

    def get(self, key: str, default: t.Any = None) -> t.Any:
        if key in self._group:
            return self._group[key]
        if key in self._shown and self._view.get(key) is not None:
            return _text(self._view, key)
        return default

    def __getitem__(self, key: str) -> t.Any:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> t.Iterator[str]:
        return (key for key in dict.fromkeys([*self._shown, *self._group]) if self.get(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _key in self)


def _text(view: View, field: str) -> str:
    value = view.get(field)
    return value[:_LONGEST_TEXT] if value.__class__ is str else " ".join(texts_of(value))[:_LONGEST_TEXT]


def _shown(correlation: _Correlation, view: View) -> dict[str, str]:
    return {field: _text(view, field) for field in correlation.shown if view.get(field) is not None}
