# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The learned model: a weight for each feature, which are summed up and made a probability (logistic regression).

The weights are content; tests/bench/_learn.py has learned them from generated traffic. A sum can be taken apart, so
that each source can be told what spoke for and against it.
"""

from __future__ import annotations

import functools
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import CONTENT, ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import features

PATH = CONTENT / "network_hardening" / "model.yml"


class Feature(t.NamedTuple):
    """usual: what counts neither for nor against a source. high, low: what to say of values above and below it."""

    weight: float
    usual: float
    high: str
    low: str


class Model:
    def __init__(self, bias: float, found: t.Mapping[str, Feature]) -> None:
        self._bias = bias
        self._features = [found[name] for name in features.NAMES]

    def probability(self, values: t.Sequence[float]) -> float:
        """Return how likely a source is legitimate, from 0 to 1."""
        total = self._bias + sum(
            feature.weight * (value - feature.usual) for feature, value in zip(self._features, values, strict=True)
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))

    def reasons(self, values: t.Sequence[float], legitimate: bool, most: int = 3) -> list[str]:
        """Return what weighs most for a source, or against it, in words."""
        parts = []
        for feature, value in zip(self._features, values, strict=True):
            share = feature.weight * (value - feature.usual) * (1 if legitimate else -1)
            text = feature.high if value > feature.usual else feature.low
            if share > 0.3 and text:
                parts.append((-share, text))
        return list(dict.fromkeys(text for _share, text in sorted(parts)))[:most]


@functools.lru_cache(maxsize=1)
def load() -> Model:
    """Return the collection's model; raise ContentError when its file is wrong."""
    return parse(catalogue.read(PATH), PATH.name)


def parse(data: t.Any, where: str) -> Model:
    if not isinstance(data, dict) or not isinstance(data.get("features"), dict):
        raise ContentError(f"{where}: there are no features")
    given = data["features"]
    if set(given) != set(features.NAMES):
        wrong = min(set(given) ^ set(features.NAMES))
        raise ContentError(f"{where}: the feature {wrong} is missing, or is none")
    return Model(
        _number(data.get("bias"), f"{where}: bias"), {name: _feature(given[name], where, name) for name in given}
    )


def _feature(data: t.Any, where: str, name: str) -> Feature:
    if not isinstance(data, dict):
        raise ContentError(f"{where}: {name} is not a mapping")
    texts = [data.get(key, "") for key in ("high", "low")]
    if not all(isinstance(text, str) for text in texts):
        raise ContentError(f"{where}: {name} has a high or low that is not text")
    numbers = [_number(data.get(key), f"{where}: {name}: {key}") for key in ("weight", "usual")]
    return Feature(numbers[0], numbers[1], texts[0], texts[1])


def _number(value: t.Any, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1e6 < value < 1e6:
        raise ContentError(f"{where} is not a number")
    return float(value)
