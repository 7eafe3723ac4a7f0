# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe a question to a host and the answers."""

from __future__ import annotations

import dataclasses
import typing as t

# Runs the module on the host once, with these arguments, and returns its result.
Run = t.Callable[[dict[str, t.Any]], dict[str, t.Any]]
# What a host keeps: the SHA-256 of each, by name. The store has it, so that nobody on the host can change both.
Pins = t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Look:
    """A module's work on the host, without the module.

    id: unique in the question. entry: a function below ``module_utils``, ``audit.events.collect:collect``, that takes
    params and check mode and returns the module's result. params: complete and validated. content: further params that
    are large texts; they travel by digest where the host keeps them. paths: where options are paths, as names of
    options within options, which the host expands as a module does. seconds: until it is ended, 0 for no limit but
    that of all looks.
    """

    id: str
    entry: str
    params: t.Mapping[str, t.Any]
    check_mode: bool = False
    diff: bool = False
    content: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    paths: t.Sequence[t.Sequence[str]] = ()
    seconds: float = 0


@dataclasses.dataclass(frozen=True)
class Options:
    """Limits of a question.

    state_dir: where the host keeps code, None for its default. keep: whether it keeps any. seconds: for all looks
    together, 0 for no limit. memory: bytes for each look beyond what the scan itself needs. facts: a function as in
    ``Look``, without arguments, that returns the platform; "" for none.
    """

    state_dir: str | None = None
    keep: bool = True
    seconds: float = 0
    memory: int = 1 << 30
    facts: str = ""


class Tampered(t.NamedTuple):
    """Something that a host kept and that is not any more what it was."""

    subject: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Answers:
    """A host's answers.

    looks: for each look the result that its module would return, or ``failed`` with ``msg``. platform: facts of the
    host. pins: what it keeps now. notes: sentences for the coverage. problem: the result of the module where the host
    could not be asked, or ended early (``unreachable`` or ``failed``); there may be answers all the same.
    """

    looks: t.Mapping[str, dict[str, t.Any]]
    platform: t.Mapping[str, t.Any]
    pins: Pins
    notes: t.Sequence[str]
    tampered: t.Sequence[Tampered]
    problem: t.Mapping[str, t.Any] | None
