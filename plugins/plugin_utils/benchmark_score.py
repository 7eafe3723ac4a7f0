# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The score of a benchmark: how much of what it asks for is there, each control weighted by its severity.

A control weighs what the benchmark's content says of its severity, so that it weighs the same passed and failed.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._control import (
    EXCEPTED,
    FAILED,
    MANUAL,
    NOT_CHECKED,
    PASSED,
    STATUSES,
)

WEIGHTS: t.Mapping[str, int] = {"informational": 1, "low": 2, "medium": 4, "high": 7, "critical": 10}


def weights(controls: t.Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the sum of the weights of controls by their status. controls: the status and severity of each."""
    sums: collections.Counter[str] = collections.Counter()
    for status, severity in controls:
        sums[status] += WEIGHTS[severity]
    return {status: sums[status] for status in STATUSES}


def of_judged(weights: t.Mapping[str, int]) -> float | None:
    """Return the share of what passed in what passed or failed, from 0 to 1; None where nothing did."""
    return _share(weights, (FAILED,))


def of_applicable(weights: t.Mapping[str, int]) -> float | None:
    """Return the share of what passed in all that applies, from 0 to 1; None where nothing does."""
    return _share(weights, (FAILED, EXCEPTED, MANUAL, NOT_CHECKED))


def checked(weights: t.Mapping[str, int]) -> float:
    """Return the share of what could be checked in all that applies, from 0 to 1; 1 where nothing applies."""
    whole = sum(weights.get(status, 0) for status in (PASSED, FAILED, EXCEPTED, MANUAL, NOT_CHECKED))
    return 1 - weights.get(NOT_CHECKED, 0) / whole if whole else 1.0


def mean(scores: t.Iterable[float | None]) -> float | None:
    """Return the score of several subjects: the mean of those that have one; None where none has."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _share(weights: t.Mapping[str, int], others: t.Sequence[str]) -> float | None:
    passed = weights.get(PASSED, 0)
    whole = passed + sum(weights.get(status, 0) for status in others)
    return passed / whole if whole else None
