# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put what is the same on many hosts into the same words, so that it is one line of a report and not thousands."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, listed

# Fewer in a row are named one by one.
_SHORTEST = 3
_COUNTED_FROM = 4

# What Ansible and ssh say of a host's name, its address and its accounts, each in its own way. All of it stands in the
# job's output; here it would tell apart what is the same.
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
    # A name that is a mere word may stand for that word.
    return text if host.isalpha() else re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "the host", text)


def without_numbers(text: str) -> str:
    """Return a text in which numbers and times stand for any others."""
    return _NUMBERS.sub("0", text)


def merged(texts: t.Sequence[str]) -> str:
    """Return texts that are the same without numbers as one, with ``…`` for each number that differs."""
    parts = zip(*map(_NUMBERS.split, dict.fromkeys(texts)), strict=True)
    return "".join(same[0] if len(set(same)) == 1 else "…" for same in parts)


def hosts(names: t.Iterable[str], limit: int) -> str:
    """Return hosts as ``db1 and web01..web80 (81 hosts)``: at most ``limit`` names or ranges, and how many they are."""
    ordered = sorted(set(names), key=_by_number)
    found = _ranges(ordered)
    words = listed(found) if len(found) <= limit else f"{', '.join(found[:limit])} and others"
    return f"{words} ({counted(len(ordered), 'host')})" if len(ordered) >= _COUNTED_FROM else words


def _by_number(name: str) -> tuple[str, str, int, str]:
    prefix, digits, suffix = _parts(name)
    return prefix, suffix, int(digits or -1), name


def _parts(name: str) -> tuple[str, str, str]:
    match = _NUMBERED.fullmatch(name[:300])
    return (match.group(1), match.group(2), match.group(3)) if match and len(match.group(2)) < 16 else (name, "", "")


def _ranges(ordered: t.Sequence[str]) -> list[str]:
    """Return names in the order of their numbers, with a range for each row of them."""
    rows: list[list[str]] = []
    for name in ordered:
        if rows and _follows(rows[-1][-1], name):
            rows[-1].append(name)
        else:
            rows.append([name])
    return [words for row in rows for words in (row if len(row) < _SHORTEST else [f"{row[0]}..{row[-1]}"])]


def _follows(text: str, other: str) -> bool:
    """Return whether a name has the next number: as web10 after web9, and web10 after web09."""
    before, after = _parts(text), _parts(other)
    if (before[0], before[2]) != (after[0], after[2]) or not before[1] or not after[1]:
        return False
    padded = before[1].startswith("0") or after[1].startswith("0")
    return int(before[1]) + 1 == int(after[1]) and (not padded or len(before[1]) == len(after[1]))
