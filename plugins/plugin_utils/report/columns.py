# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain text in columns, as wide as a terminal shows it."""

from __future__ import annotations

import collections
import dataclasses
import textwrap
import typing as t
import unicodedata

from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# Of a column that shrinks, as long as others can give way.
_NARROWEST = 12


@dataclasses.dataclass(frozen=True)
class Column:
    """most: how wide it may be. shrinks: it gives way in a line that is too long, down to this width before others do.

    middle: it is cut there, not at its end.
    """

    name: str
    most: int
    shrinks: int = 0
    middle: bool = False


def aligned(columns: t.Sequence[Column], rows: t.Sequence[t.Sequence[str]], room: int) -> list[str]:
    """Return a header and rows as lines of at most ``room`` columns, what hides in a text made visible.

    Rows that are not the same don't look the same, as far as a column that is cut can tell them apart.
    """
    table = [[visible(cell, 400) for cell in row] for row in rows]
    needed = [
        min(column.most, max(width(row[at]) for row in [[c.name for c in columns], *table]))
        for at, column in enumerate(columns)
    ]
    widths = _fitted(columns, needed, room - 2 * (len(columns) - 1))
    cut = [
        [shortened(cell, size, middle=column.middle) for cell, size, column in zip(row, widths, columns, strict=True)]
        for row in [[column.name for column in columns], *table]
    ]
    for at, column in enumerate(columns):
        if column.middle or column.shrinks:
            _tell_apart(cut[1:], table, at, widths[at])
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in cut]


def _tell_apart(cut: t.Sequence[list[str]], whole: t.Sequence[t.Sequence[str]], at: int, room: int) -> None:
    """Show of rows that look the same by now, and are not, what is different in a column."""
    alike: dict[tuple[str, ...], list[int]] = collections.defaultdict(list)
    for number, row in enumerate(cut):
        alike[tuple(row)].append(number)
    for numbers in alike.values():
        pending = [numbers]
        while pending:
            same = pending.pop()
            texts = {whole[number][at] for number in same}
            if len(texts) < 2:
                continue
            start = _first_difference(min(texts), max(texts))
            shown: dict[str, list[int]] = collections.defaultdict(list)
            for number in same:
                cut[number][at] = _from(whole[number][at], start, room)
                shown[cut[number][at]].append(number)
            if len(shown) > 1:
                pending += shown.values()


def _first_difference(first: str, last: str) -> int:
    """Return where texts begin to differ, of which these are the first and the last in order."""
    pairs = enumerate(zip(first, last, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(last)))


def _from(text: str, start: int, columns: int) -> str:
    """Return a text of at most so many columns with its beginning, and what is at a place in it."""
    head = taken(text, columns // 3)
    left = columns - width(head) - 1
    tail = text[max(start - 3, len(head)) :]
    if width(tail) <= left:
        # There is room for what is before it.
        return f"{head}…{taken(text[::-1], left)[::-1]}"
    return f"{head}…{taken(tail, left - 1)}…"


def _fitted(columns: t.Sequence[Column], needed: list[int], room: int) -> list[int]:
    """Return widths that fit: what is wider than it must be gives way first, then what shrinks, then every column."""
    widths = list(needed)
    shrinking = [at for at, column in enumerate(columns) if column.shrinks]
    while sum(widths) > room:
        wide = [at for at in shrinking if widths[at] > columns[at].shrinks]
        able = wide or [at for at in shrinking if widths[at] > _NARROWEST]
        at = max(able or range(len(widths)), key=lambda at: widths[at])
        widths[at] -= 1
    return widths


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def shortened(text: str, columns: int, *, middle: bool = True) -> str:
    """Return a text of at most so many columns, with an ellipsis for what it lost in the middle, or at the end."""
    if width(text) <= columns:
        return text
    end = (columns - 1) // 2 if middle else 0
    return f"{taken(text, columns - 1 - end)}…{taken(text[::-1], end)[::-1]}"


def taken(text: str, columns: int) -> str:
    """Return as much of a text as these columns hold."""
    used = 0
    for position, char in enumerate(text):
        used += width(char)
        if used > columns:
            return text[:position]
    return text


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def wrapped(text: str, columns: int, item: str = "- ") -> list[str]:
    """Return a text as an item of a list, in lines of at most this width. item: the text before it."""
    wrapped: list[str] = []
    for line in textwrap.wrap(text, columns, initial_indent=item, subsequent_indent="  "):
        while width(line) > columns:
            head = taken(line, columns)
            wrapped.append(head)
            line = f"  {line[len(head) :]}"
        wrapped.append(line)
    return wrapped
