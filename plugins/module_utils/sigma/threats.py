# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat lists on the host: which of their entries are in an event."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Values, address_of, texts_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.index import Lookup
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.search_timeout import limited

# What begins in the middle of a word is not looked at, which also keeps a search in a long word from starting anew at
# each of its characters.
_ADDRESSES = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:.]*)(?!\w|\.\d)")
_DOMAINS = re.compile(r"(?<![a-z0-9_.-])[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_HASHES = re.compile(r"(?<![0-9a-z])[0-9a-f]{32,128}(?![0-9a-z])")
_PATHS = re.compile(r"""[^\s"'=;|&<>()`]*/[^\s"'=;|&<>()`]+""")
# For Windows, where paths have blanks, also between quotation marks.
_WORDS = re.compile(r"""[^\s"'=;|&<>()`]+""")
_QUOTED = re.compile(r'"([^"]+)"')
# A field that is one thing; in others, things are looked for.
_WHOLE = frozenset(
    ("DestinationIp", "SourceIp", "Address", "DestinationHostname", "SourceHostname", "Image", "TargetFilename")
)
_MOST_FOUND = 10
_LONGEST_DOMAIN = 253


class Indicator(t.NamedTuple):
    """An entry that was seen, with what its list says about it."""

    value: str
    note: str


class ThreatList:
    """A list of one kind of entries, as plugin_utils/threat_lists/rules.py compiled it."""

    def __init__(self, compiled: t.Mapping[str, t.Any]) -> None:
        self._entries: dict[str, str] = compiled["entries"]
        kind = compiled["kind"]
        if kind == "address":
            self._look: t.Callable[[str, bool], t.Iterator[str]] = _Addresses(self._entries).look
        elif kind == "domain":
            self._look = self._domains
        elif kind == "hash":
            self._look = self._hashes
        elif kind == "name":
            self._look = (_WindowsNames if compiled.get("windows") else _Names)(self._entries).look
        else:
            flags = re.IGNORECASE | re.DOTALL if compiled.get("windows") else re.RegexFlag(0)
            self._look = _Patterns(list(self._entries), compiled["needed"], flags).look

    def entries_in(self, text: str, whole: bool) -> t.Iterator[Indicator]:
        """Return what a text has of the list. whole: the text is one address, host or path."""
        for value in self._look(text, whole):
            yield Indicator(value, self._entries[value])

    def _domains(self, text: str, whole: bool) -> t.Iterator[str]:
        text = text.lower()
        for host in [text] if whole else _DOMAINS.findall(text):
            name = host.strip(".") if len(host) <= _LONGEST_DOMAIN else ""
            while name:
                if name in self._entries:
                    yield name
                name = name.partition(".")[2]

    def _hashes(self, text: str, whole: bool) -> t.Iterator[str]:
        if len(text) < 32:
            return
        for digest in _HASHES.findall(text.lower()):
            if digest in self._entries:
                yield digest


class Listed:
    """A condition: an entry of a list is in one of some fields."""

    def __init__(self, threat_list: ThreatList, fields: t.Sequence[str]) -> None:
        self._list = threat_list
        self._fields = tuple(fields)

    def seen(self, values: Values) -> bool:
        return next(self._find(values), None) is not None

    def found(self, values: Values) -> tuple[Indicator, ...]:
        """Return each entry once, the first ten."""
        return tuple(dict.fromkeys(self._find(values)))[:_MOST_FOUND]

    def _find(self, values: Values) -> t.Iterator[Indicator]:
        for field in self._fields:
            for text in texts_of(values[field]):
                yield from self._list.entries_in(text, field in _WHOLE)


class _Addresses:
    """Single addresses, and networks by how long their prefix is."""

    def __init__(self, entries: t.Iterable[str]) -> None:
        self._single: dict[str, str] = {}
        self._networks: dict[tuple[int, int], dict[int, str]] = {}
        for entry in entries:
            base, slash, length = entry.partition("/")
            address = address_of(base)
            if address is None:
                continue
            if not slash:
                self._single[str(address)] = entry
                continue
            shift = address.max_prefixlen - int(length)
            self._networks.setdefault((address.version, shift), {})[int(address) >> shift] = entry

    def look(self, text: str, whole: bool) -> t.Iterator[str]:
        for word in [text] if whole else _ADDRESSES.findall(text.lower()):
            address = address_of(word)
            if address is None:
                continue
            single = self._single.get(str(address))
            if single is not None:
                yield single
            for (version, shift), networks in self._networks.items():
                entry = networks.get(int(address) >> shift) if version == address.version else None
                if entry is not None:
                    yield entry


class _Names:
    """Names without a directory, and paths, of which those that don't begin with a slash may be anywhere."""

    def __init__(self, entries: t.Iterable[str]) -> None:
        self._by_base: dict[str, list[str]] = {}
        for entry in entries:
            self._by_base.setdefault(entry.rpartition("/")[2], []).append(entry)

    def look(self, text: str, whole: bool) -> t.Iterator[str]:
        for path in [text] if whole else _PATHS.findall(text):
            for entry in self._by_base.get(path.rpartition("/")[2], ()):
                if path == entry or (not entry.startswith("/") and path.endswith("/" + entry)):
                    yield entry


class _WindowsNames:
    """Names without a directory, and paths, of which those that don't begin with a drive or share may be anywhere.

    Case is ignored, and a slash is a backslash.
    """

    def __init__(self, entries: t.Iterable[str]) -> None:
        self._by_base: dict[str, list[tuple[str, str, bool]]] = {}
        for entry in entries:
            name = self._plain(entry)
            complete = name.startswith("\\\\") or (name[1:2] == ":" and name[0] != "\\")
            end = name if complete else "\\" + name.lstrip("\\")
            self._by_base.setdefault(name.rpartition("\\")[2], []).append((entry, end, complete))

    def look(self, text: str, whole: bool) -> t.Iterator[str]:
        text = self._plain(text)
        for path in [text] if whole else [*_WORDS.findall(text), *_QUOTED.findall(text)]:
            _directory, separator, base = path.rpartition("\\")
            if not separator and not whole:
                continue
            for entry, end, complete in self._by_base.get(base, ()):
                if path == end if complete else f"\\{path}".endswith(end):
                    yield entry

    @staticmethod
    def _plain(text: str) -> str:
        return text.lower().replace("/", "\\")


class _Patterns:
    """Regular expressions for paths, of which only those are tried whose literal characters are there."""

    def __init__(
        self, entries: t.Sequence[str], needed: t.Sequence[t.Sequence[t.Sequence[str]]], flags: re.RegexFlag
    ) -> None:
        self._entries = entries
        self._flags = flags
        self._compiled: dict[int, t.Pattern[str] | None] = {}
        self._lookup = Lookup()
        self._always: list[int] = []
        for number, clauses in enumerate(needed):
            if not clauses:
                self._always.append(number)
                continue
            for text in max(clauses, key=lambda clause: min(map(len, clause))):
                self._lookup.add("gram" if len(text) >= 4 else "part", text[:4], number)
        self._lookup.seal()

    def look(self, text: str, whole: bool) -> t.Iterator[str]:
        for number in sorted(self._lookup.candidates(text.lower()).union(self._always)):
            pattern = self._pattern(number)
            if pattern is not None and limited(pattern.search)(text):
                yield self._entries[number]

    def _pattern(self, number: int) -> t.Pattern[str] | None:
        """Return a compiled pattern, when it is needed: of thousands, few ever are. None where Python can't use it."""
        if number not in self._compiled:
            try:
                self._compiled[number] = re.compile(self._entries[number], self._flags)
            except re.error:
                self._compiled[number] = None
        return self._compiled[number]
