# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What versions of fapolicyd can do. 1.3.4 is tested; others are known by their change log and manual pages."""

from __future__ import annotations

import re
import typing as t

TESTED = "1.3.4"
_OLDEST = (1, 1, 0)
_NEWEST = (1, 4)
_NUMBER = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Features(t.NamedTuple):
    """What a version has. lacking: sentences about what it can't do, or what isn't known of it, for people.

    spaces_in_trust: paths of trust files may have spaces. reload_rules: a running daemon takes other rules.
    transactional_reload: a reload of rules with an error changes nothing. rule_number_in_audit: its records name the
    rule. marks_file_systems: it can watch all mounts of a file system at once. fast_trust: many lines of trust files load in a moment. watches_run: file systems below /run, too.
    """

    rules_directory: bool
    trust_directory: bool
    spaces_in_trust: bool
    reload_rules: bool
    transactional_reload: bool
    rule_number_in_audit: bool
    marks_file_systems: bool
    fast_trust: bool
    watches_run: bool
    watchdog: bool
    lacking: tuple[str, ...] = ()


def features(version: str) -> Features | None:
    """Return what a version such as "1.3.4" can do, None for one that is too old (before 1.1) or not understood."""
    match = _NUMBER.match(version)
    if match is None:
        return None
    number = (int(match.group(1)), int(match.group(2)), int(match.group(3) or 0))
    if number < _OLDEST:
        return None
    has_spaces, reloads, names_rule = number >= (1, 3, 0), number >= (1, 3, 0), number >= (1, 2, 0)
    is_fast = number >= (1, 3, 7)
    lacking = []
    if not has_spaces:
        lacking.append("fapolicyd %s can't trust a file whose path has a space" % version)
    if not reloads:
        lacking.append("fapolicyd %s takes other rules only when it is restarted" % version)
    if not names_rule:
        lacking.append("fapolicyd %s does not name the rule in its records" % version)
    if not is_fast:
        lacking.append(
            "fapolicyd %s takes longer to start the more files are trusted, the square of their number" % version
        )
    if not version.startswith(TESTED):
        lacking.append("fapolicyd %s is known by its documentation only; %s was tested" % (version, TESTED))
    if number[:2] > _NEWEST:
        lacking.append("fapolicyd %s is newer than what is known of its formats" % version)
    return Features(
        rules_directory=True,
        trust_directory=True,
        spaces_in_trust=has_spaces,
        reload_rules=reloads,
        transactional_reload=number >= (1, 4, 6),
        rule_number_in_audit=names_rule,
        marks_file_systems=number >= (1, 1, 5),
        fast_trust=is_fast,
        watches_run=number >= (1, 4, 0),
        watchdog=False,
        lacking=tuple(lacking),
    )
