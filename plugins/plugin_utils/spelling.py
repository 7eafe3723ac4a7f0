# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggest the known names that a misspelt name resembles: Ansible accepts variables that nobody reads."""

from __future__ import annotations

import difflib
import itertools
import typing as t

# The ratio of difflib: 'failon' and 'fail_on' have 0.92, 'widht' and 'width' 0.8, but 'store_url' and 'store' 0.71.
_ALIKE = 0.8

# Letters that are wrong, missing or too many, and neighbours that are swapped. Shorter names are too often near others.
_EDITS = 2
_LONG = 10


def advice(name: str, known: t.Iterable[str], otherwise: str, *, limit: int = 3, likeness: float = 0.6) -> str:
    """Return ``did you mean a or b?`` with the most similar known names, or the other advice if none is similar.

    limit: the largest number of names. likeness: their least ratio, from 0 to 1, as difflib counts it.
    """
    similar = difflib.get_close_matches(name, dict.fromkeys(known), limit, likeness)
    return f"did you mean {' or '.join(similar)}?" if similar else otherwise


def likeliest_or(name: str, known: t.Iterable[str], otherwise: str) -> str:
    """Return ``did you mean a?`` with the known name that is nearly this one, or the other advice."""
    return advice(name, known, otherwise, limit=1, likeness=_ALIKE)


def likeliest(name: str, known: t.Iterable[str], prefix: str) -> str | None:
    """Return the known name that a misspelt one with the same prefix resembles, None if there is none.

    prefix: the beginning of all names; it does not count as a similarity.
    """
    rests = [option[len(prefix) :] for option in known if option.startswith(prefix)]
    alike = difflib.get_close_matches(name[len(prefix) :], rests, 1, _ALIKE)
    return prefix + alike[0] if alike else None


def elsewhere(name: str, known: t.Iterable[str], prefix: str) -> str | None:
    """Return the known name that one with a misspelt prefix resembles, None if there is none.

    prefix: the beginning of all known names, as in ``jit_access_`` for ``jit_acces_ports``.
    """
    word = prefix.rstrip("_")
    # Another word can begin with a short one: 'auditd_rules' is a variable of somebody else's.
    if len(name) < _LONG or (len(word) < _LONG and name.startswith(word)):
        return None
    return next((option for option in known if len(option) >= _LONG and _is_near(name, option)), None)


def _has_a_part(name: str, option: str) -> bool:
    """Return whether the name has a part of the option near its position: few edits leave one of these parts whole.

    This is far quicker than to count the edits, and rules out nearly every name.
    """
    # A swap can spoil the end of one part and the beginning of the next.
    parts = 2 * _EDITS + 1
    places = [len(option) * number // parts for number in range(parts + 1)]
    return any(
        name.find(option[start:end], max(0, start - _EDITS), end + _EDITS) >= 0
        for start, end in itertools.pairwise(places)
    )


def _is_near(name: str, option: str) -> bool:
    """Return whether a name becomes the other one with few edits (optimal string alignment)."""
    if abs(len(name) - len(option)) > _EDITS or not _has_a_part(name, option):
        return False
    before: list[int] = []
    row = list(range(len(option) + 1))
    for number, letter in enumerate(name, 1):
        earlier, before, row = before, row, [number]
        for at, wanted in enumerate(option, 1):
            costs = [before[at] + 1, row[at - 1] + 1, before[at - 1] + (letter != wanted)]
            if number > 1 and at > 1 and letter == option[at - 2] and name[number - 2] == wanted:
                costs.append(earlier[at - 2] + 1)
            row.append(min(costs))
        # Two rows, because a swap reads the row before the last.
        if min(itertools.chain(before, row)) > _EDITS:
            return False
    return row[-1] <= _EDITS
