# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the versions of fapolicyd. 1.3.4 is tested; others are known by their change log and manual pages."""

from __future__ import annotations

import re
import typing as t

TESTED = "1.3.4"
_OLDEST = (1, 1, 0)
_NEWEST = (1, 4)
_NUMBER = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Features(t.NamedTuple):
    """Features of a version.

    spaces_in_trust: paths of trust files may have spaces. marks_file_systems: it can watch all mounts of a file system
    at once. fast_trust: many lines of trust files load in a moment. lacking: clauses about what it can't do that the
    tested version can, and that it was not tested, for people.
    """

    spaces_in_trust: bool
    marks_file_systems: bool
    fast_trust: bool
    lacking: tuple[str, ...] = ()


def features(version: str) -> Features | None:
    """Return what a version such as "1.3.4" can do, None for one that is too old (before 1.1) or not understood."""
    match = _NUMBER.match(version)
    if match is None:
        return None
    number = (int(match.group(1)), int(match.group(2)), int(match.group(3) or 0))
    if number < _OLDEST:
        return None
    lacking = []
    if number < (1, 3, 0):
        lacking.append("it can't trust a file whose path has a space")
        lacking.append("it takes other rules only when it is restarted")
    if number < (1, 2, 0):
        lacking.append("it does not name the rule in its records")
    if number[:2] > _NEWEST:
        lacking.append("it is newer than its known formats")
    elif match.group() != TESTED:
        lacking.append("it is known by its documentation only; %s was tested" % TESTED)
    return Features(
        spaces_in_trust=number >= (1, 3, 0),
        marks_file_systems=number >= (1, 1, 5),
        fast_trust=number >= (1, 3, 7),
        lacking=tuple(lacking),
    )
