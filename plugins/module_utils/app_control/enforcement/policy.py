# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy for fapolicyd: what of a host's allowlist it enforces, and what it can't."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import Facts, Options
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

AUDIT, REHEARSE, ENFORCE = MODES = ("audit", "rehearse", "enforce")


class Unexpressed(t.NamedTuple):
    """A rule or exception that fapolicyd can't enforce. what: the entry in words; why: the rest of the sentence."""

    what: str
    why: str


class Policy(t.NamedTuple):
    """All that is deployed.

    mode: REHEARSE (fapolicyd decides, logs and lets everything pass) or ENFORCE. rules: lines of our file in rules.d, in
    their order. trusted: lines of our file in trust.d, by path. settings: of fapolicyd.conf, those that we change.
    unexpressed: named, and not deployed.
    """

    mode: str
    rules: tuple[str, ...]
    trusted: tuple[Trusted, ...]
    settings: t.Mapping[str, str]
    unexpressed: tuple[Unexpressed, ...] = ()


class Blocked(t.NamedTuple):
    """A program that ran and that the policy would stop. path: printable; last: seconds since the epoch."""

    path: str
    kind: str
    why: str
    last: float


def compile_policy(allowlist: Allowlist, facts: Facts, options: Options) -> Policy:
    """Return what enforces an allowlist on a host."""
    raise NotImplementedError
