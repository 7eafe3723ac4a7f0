# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks that the collection judges, each from ``content/CAPABILITY/benchmark.yml`` and ``controls``."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

# How a control is judged: from what the host shows, with a variable of the operator, or by a person.
METHODS = ("machine", "parameter", "person")


@dataclasses.dataclass(frozen=True)
class Control:
    """One control of a benchmark.

    id: of the alert that a failure raises; it survives editions. numbers: what each edition calls it, such as "5.10";
    an edition that has no such control is missing. title: what is required. level: 1 or 2. profile: of the
    benchmark's profiles, such as docker or swarm. severity: of a failure, unless what failed is worse, and the weight
    in the score. parameter: the variable that turns the question into a verdict, None without. question: for a
    person, None where the machine always judges.
    """

    id: str
    numbers: t.Mapping[str, str]
    section: str
    title: str
    level: int
    profile: str
    method: str
    severity: str
    evidence: str
    parameter: str | None
    question: str | None


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark: its editions, the newest first, its sections in their order, and its controls by id."""

    id: str
    title: str
    capability: str
    editions: tuple[str, ...]
    sections: t.Mapping[str, str]
    controls: t.Mapping[str, Control]


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, Benchmark]:
    """Return all benchmarks by id; raise ContentError for a file that is wrong."""
    raise NotImplementedError
