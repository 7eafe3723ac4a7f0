# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which option is meant by a name that is none: Ansible says nothing of a variable that nobody reads."""

from __future__ import annotations

import difflib
import itertools
import typing as t

# Of 1: so alike are 'failon' and 'fail_on' (0.92) or 'widht' and 'width' (0.8), and not 'store_url' and 'store' (0.71).
_ALIKE = 0.8

# Letters that are wrong, missing or too many, and neighbours that are swapped. Shorter names are too often near others.
_EDITS = 2
_LONG = 10


def likeliest(name: str, known: t.Iterable[str], prefix: str) -> str | None:
    """Return which of the known names is meant by one that begins as they do, None when none is like it.

    prefix: what all begin with; it doesn't count.
    """
    rests = [option[len(prefix) :] for option in known if option.startswith(prefix)]
    alike = difflib.get_close_matches(name[len(prefix) :], rests, 1, _ALIKE)
    return prefix + alike[0] if alike else None


def elsewhere(name: str, known: t.Iterable[str], prefix: str) -> str | None:
    """Return which of the known names is meant by one that doesn't begin as they do, None when none is near it.

    prefix: what all known names begin with, as in ``jit_access_`` for ``jit_acces_ports``.
    """
    word = prefix.rstrip("_")
    # Another word can begin with a short one: 'auditd_rules' is a variable of somebody else's.
    if len(name) < _LONG or (len(word) < _LONG and name.startswith(word)):
        return None
    return next((option for option in known if len(option) >= _LONG and _is_near(name, option)), None)


def _has_a_part(name: str, option: str) -> bool:
    """Tell whether one of so many parts of the option that few edits leave one whole is about there in the name.

    It is far quicker than counting the edits, and nearly no name gets past it.
    """
    # A swap can spoil the end of one part and the beginning of the next.
    parts = 2 * _EDITS + 1
    places = [len(option) * number // parts for number in range(parts + 1)]
    return any(
        name.find(option[start:end], max(0, start - _EDITS), end + _EDITS) >= 0
        for start, end in itertools.pairwise(places)
    )


def _is_near(name: str, option: str) -> bool:
    """Tell whether a name becomes the other one with few edits (optimal string alignment)."""
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
        # Two rows, as a swap reaches over one.
        if min(itertools.chain(before, row)) > _EDITS:
            return False
    return row[-1] <= _EDITS
