# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the recommender."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Options:
    """minimum_days: for which a host must have been observed before anything is learned from it.

    minimum_hosts: that a role must have before rules are recommended for it. max_review: items listed for a role.
    """

    minimum_days: int = 14
    minimum_hosts: int = 3
    max_review: int = 20


class OpenFinding(t.NamedTuple):
    """A finding that nobody has resolved. time: when it was first seen, in seconds since the epoch."""

    host: str
    time: float
    title: str


# The roles of the allowlists that are there: the hosts of each by name, without bases.
Previous = t.Mapping[str, t.Collection[str]]
