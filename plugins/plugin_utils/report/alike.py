# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give hosts with the same result the same words, so that they share a line of a report."""

from __future__ import annotations

import collections
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, listed, visible

# Shorter ranges are written as single names.
_SHORTEST = 3
_COUNTED_FROM = 4

# Names, addresses and accounts of one host in messages of Ansible and ssh. They would split a group of hosts; the job's
# output has them.
_OF_ONE_HOST = (
    (re.compile(r'Data could not be sent to remote host "[^"]*"\. Make sure this host can be reached over ssh: '), ""),
    (re.compile(r"connect to host \S+ port"), "connect to port"),
    (re.compile(r"Could not resolve hostname \S+:"), "Could not resolve the hostname:"),
    (re.compile(r"(?<![^\s:])[^\s@:]+@\S+: (?=Permission denied)"), ""),
)
# Numbers, and times as ISO 8601 has them.
_NUMBERS = re.compile(r"(\d[\d:.,TZ-]*(?<![:.,T-]))")
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)


def reason(host: str, text: str) -> str:
    """Return a reason in the words that other hosts with the same trouble give."""
    for pattern, replacement in _OF_ONE_HOST:
        text = pattern.sub(replacement, text)
    # A name without digits or dots may be an ordinary word. Two dots mark the ends of a range of hosts.
    return text if host.isalpha() else re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\.)", "the host", text)


def without_numbers(text: str) -> str:
    """Return a text in which numbers and times stand for any others."""
    return _NUMBERS.sub("0", text)


def merged(texts: t.Sequence[str]) -> str:
    """Return texts that are the same without numbers as one, with ``…`` for each number that differs."""
    parts = zip(*map(_NUMBERS.split, dict.fromkeys(texts)), strict=True)
    return "".join(same[0] if len(set(same)) == 1 else "…" for same in parts)


def hosts(names: t.Iterable[str], limit: int) -> str:
    """Return hosts as ``db1 and web01..web80 (81 hosts)``: at most ``limit`` names or ranges, and how many they are."""
    distinct = set(names)
    words = named(distinct, limit)
    return f"{words} ({counted(len(distinct), 'host')})" if len(distinct) >= _COUNTED_FROM else words


def named(names: t.Iterable[str], limit: int) -> str:
    """Return the same without the number of hosts, for text that already has it."""
    words = [range_words for range_words, _number in ranges(names)]
    return listed(words, limit) if len(words) <= limit else f"{', '.join(words[:limit])} and others"


def ranges(names: t.Iterable[str]) -> list[tuple[str, int]]:
    """Return names in the order of their numbers, ``web01..web80`` for those in a row, each with how many they are."""
    return _ranges(sorted(set(names), key=_by_number))


_Key = t.TypeVar("_Key", bound=t.Hashable)


def by_hosts(pairs: t.Iterable[tuple[str, _Key]], limit: int = 10) -> list[tuple[_Key, str]]:
    """Return each key once, with its hosts in words. pairs: host and key. limit: as for ``hosts``."""
    named: dict[_Key, list[str]] = collections.defaultdict(list)
    for host, key in pairs:
        named[key].append(host)
    return [(key, visible(hosts(names, limit))) for key, names in named.items()]


def _by_number(name: str) -> tuple[str, str, int, str]:
    prefix, digits, suffix = _parts(name)
    return prefix, suffix, int(digits or -1), name


def _parts(name: str) -> tuple[str, str, str]:
    match = _NUMBERED.fullmatch(name[:300])
    return (match.group(1), match.group(2), match.group(3)) if match and len(match.group(2)) < 16 else (name, "", "")


def _ranges(ordered: t.Sequence[str]) -> list[tuple[str, int]]:
    rows: list[list[str]] = []
    for name in ordered:
        if rows and _follows(rows[-1][-1], name):
            rows[-1].append(name)
        else:
            rows.append([name])
    return [
        part
        for row in rows
        for part in ([(name, 1) for name in row] if len(row) < _SHORTEST else [(f"{row[0]}..{row[-1]}", len(row))])
    ]


def _follows(text: str, other: str) -> bool:
    """Return whether a name has the next number: as web10 after web9, and web10 after web09."""
    before, after = _parts(text), _parts(other)
    if (before[0], before[2]) != (after[0], after[2]) or not before[1] or not after[1]:
        return False
    padded = before[1].startswith("0") or after[1].startswith("0")
    return int(before[1]) + 1 == int(after[1]) and (not padded or len(before[1]) == len(after[1]))
