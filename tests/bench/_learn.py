# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Learn the weights of content/network_hardening/model.yml: ``python -m tests.bench._learn``.

Logistic regression with a ridge penalty, by Newton's method, on the first half of generated worlds whose seeds the
bench does not use; every second world is without bytes. Sources that a threat list or a finding decides are left out.
Both classes weigh alike, and each kind of legitimate source as much as any other: there are thousands of runners, and
one backup. A weight whose sign contradicts the feature's words is set to 0, and the others are learned again. The same
numbers come out each time.
"""

from __future__ import annotations

import collections
import math
import pathlib
import re
import sys
import typing as t

from tests.bench import _traffic
from tests.support import paths

SEEDS = range(1000, 1016)
_RIDGE = 5.0
_FIXED = 1e12
# What can only speak for a source, or only against it.
_FOR = {
    "days",
    "regularity",
    "working_days",
    "bytes_per_connection",
    "near_days",
    "near_bytes",
    "far_days",
    "far_bytes",
}
_AGAINST = {
    "other_ports", "refused", "flood", "burst", "near_other_ports", "near_refused", "near_known_bad",
    "far_other_ports", "far_known_bad",
}  # fmt: skip
_ROUNDS = 8

_Row = tuple[tuple[float, ...], float, str]


def main() -> None:
    paths.link_collection()
    sys.path.insert(0, str(paths.COLLECTIONS))
    from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import features, model

    rows = [row for seed in SEEDS for row in _rows(seed, with_bytes=seed % 2 == 0)]
    width = len(features.NAMES)
    means = [sum(row[0][place] for row in rows) / len(rows) for place in range(width)]
    centred = [(tuple(v - m for v, m in zip(row[0], means, strict=True)), row[1], row[2]) for row in rows]
    zero: set[int] = set()
    while True:
        weights = [0.0 if place in zero else weight for place, weight in enumerate(_fit(centred, zero))]
        wrong = {
            place
            for place, name in enumerate(features.NAMES, 1)
            if (name in _FOR and weights[place] < 0) or (name in _AGAINST and weights[place] > 0)
        }
        if not wrong:
            break
        zero |= wrong
    _write(model.PATH, weights, dict(zip(features.NAMES, zip(weights[1:], means, strict=True), strict=True)))
    print(f"{len(rows)} rows; {collections.Counter(row[2] for row in rows)}")


def _rows(seed: int, with_bytes: bool) -> t.Iterator[_Row]:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import features, prefixes, sources

    world = _traffic.world(seed, with_bytes=with_bytes)
    seen = sources.read(world.entries[0])
    bad = {prefixes.source_of(address) for address in world.threats + world.findings}
    kinds = {prefixes.source_of(entry.address): world.kinds[entry.address] for entry in seen}
    traffic = features.Traffic(seen, bad)
    for port in _traffic.LISTENING:
        for key in sorted(traffic.by_port.get((port, "tcp"), {})):
            if key not in bad:
                kind = kinds[key]
                yield traffic.features(key, (port, "tcp")), float(not kind.startswith("attack")), kind


def _fit(rows: t.Sequence[_Row], zero: set[int]) -> list[float]:
    """Return the bias and the weights; zero: places of those that must be 0."""
    shares = collections.Counter(row[2] for row in rows)
    classes = {1.0: len([kind for kind in shares if not kind.startswith("attack")]), 0.0: 0}
    attacks = sum(count for kind, count in shares.items() if kind.startswith("attack"))
    width = len(rows[0][0]) + 1
    weights = [0.0] * width
    for _round in range(_ROUNDS):
        ridge = [_FIXED if place in zero else _RIDGE if place else 0.0 for place in range(width)]
        gradient = [-penalty * weight for penalty, weight in zip(ridge, weights, strict=True)]
        hessian = [[ridge[a] if a == b else 0.0 for b in range(width)] for a in range(width)]
        for values, label, kind in rows:
            point = (1.0, *values)
            total = sum(weight * value for weight, value in zip(weights, point, strict=True))
            probability = 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
            importance = 5000 * (1 / (classes[1.0] * shares[kind]) if label else 1 / attacks)
            error, curve = importance * (label - probability), importance * probability * (1 - probability)
            for a in range(width):
                gradient[a] += error * point[a]
                line, scaled = hessian[a], curve * point[a]
                for b in range(a + 1):
                    line[b] += scaled * point[b]
        for a in range(width):
            for b in range(a):
                hessian[b][a] = hessian[a][b]
        weights = [weight + step for weight, step in zip(weights, _solved(hessian, gradient), strict=True)]
    return weights


def _solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Return x of matrix * x = right (Gauss)."""
    size = len(right)
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda place: abs(rows[place][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for place in range(column + 1, size):
            factor = rows[place][column] / rows[column][column]
            for b in range(column, size + 1):
                rows[place][b] -= factor * rows[column][b]
    answer = [0.0] * size
    for place in reversed(range(size)):
        known = sum(rows[place][b] * answer[b] for b in range(place + 1, size))
        answer[place] = (rows[place][size] - known) / rows[place][place]
    return answer


def _write(path: pathlib.Path, weights: t.Sequence[float], found: t.Mapping[str, tuple[float, float]]) -> None:
    """Put the numbers in place, and leave the words as they are."""
    text = re.sub(r"(?m)^bias: .*$", f"bias: {weights[0]:.3f}", path.read_text(encoding="utf-8"))
    for name, (weight, usual) in found.items():
        text = re.sub(
            rf"(?m)^(  {name}:\n    weight: ).*(\n    usual: ).*$",
            rf"\g<1>{weight:.3f}\g<2>{usual:.3f}",
            text,
        )
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
