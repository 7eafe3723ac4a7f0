# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of the recommender: roles, the hosts that have them, and an allowlist for each."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Rule


@dataclasses.dataclass(frozen=True)
class RecommendedRule:
    """A rule that people can take as it is.

    programs, hosts: how many files it covers on how many hosts. reason: a sentence.
    """

    rule: Rule
    programs: int
    hosts: int
    reason: str


@dataclasses.dataclass(frozen=True)
class ReviewItem:
    """An item that a person has to decide about. reasons: sentences, never empty. rule: what would allow it.

    further: programs that came to the same hosts with it. The rule does not allow them.
    """

    program: Program
    hosts: tuple[str, ...]
    reasons: tuple[str, ...]
    rule: Rule
    further: tuple[Program, ...] = ()


@dataclasses.dataclass(frozen=True)
class Role:
    """A set of programs that some hosts have in common.

    name: stable over time, made of the packages or paths that are typical. distribution: of a base, which all hosts of
    the distribution have; "" for a role. problem: why no allowlist is recommended, such as too few days; "" for none.
    left_out: how many further items need review, of which there are more than the option allows. undecided: how many
    packages and files ran on so few days or hosts that nothing can be said yet.
    """

    name: str
    distribution: str
    hosts: tuple[str, ...]
    rules: tuple[RecommendedRule, ...]
    review: tuple[ReviewItem, ...]
    problem: str = ""
    left_out: int = 0
    undecided: int = 0


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """roles: bases first. hosts: the names of the roles of each host.

    insufficient: by host why nothing was learned from it. It can have roles all the same.
    """

    roles: tuple[Role, ...]
    hosts: t.Mapping[str, tuple[str, ...]]
    insufficient: t.Mapping[str, str]
