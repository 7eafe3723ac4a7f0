# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What versions of fapolicyd can do. 1.3.4 is tested; others are known by their change log and manual pages."""

from __future__ import annotations

import typing as t

TESTED = "1.3.4"


class Features(t.NamedTuple):
    """What a version has. lacking: sentences about what it can't do, for people."""

    rules_directory: bool
    trust_directory: bool
    spaces_in_trust: bool
    reload_rules: bool
    rule_number_in_audit: bool
    watchdog: bool
    lacking: tuple[str, ...] = ()


def features(version: str) -> Features | None:
    """Return what a version such as "1.3.4" can do, None for one that is too old or not understood."""
    raise NotImplementedError
