# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a row of a mapping into a function that gives the row's value."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import paths, value_types
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.collector import Collector
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.rows import Row

# From what a ``Collector`` collected to a value of the row's type; None for no value.
Evaluation = t.Callable[[t.Sequence[t.Any]], t.Any]


def evaluation(row: Row, collector: Collector) -> Evaluation:
    """Return the function for a row, whose paths get slots in ``collector``."""
    convert = value_types.CONVERTERS[row.type]
    if not row.sources and not row.gathered:
        constant = convert(row.constant)
        return _conditional(row, lambda _values: constant, collector)
    converted = _converted(row, convert)
    if row.gathered:
        return _conditional(row, _gathering([collector.slot(path) for path in row.gathered], converted), collector)
    slots = [collector.slot(path) for path in row.sources]
    otherwise = convert(row.otherwise)
    stays = row.type == "text" and row.values is None

    def evaluate(values: t.Sequence[t.Any]) -> t.Any:
        for slot in slots:
            value = values[slot]
            if value is None:
                continue
            # Most values are texts for text fields; calls for these would take a fifth of the time.
            if not stays or not isinstance(value, str):
                value = converted(value)
            if value is not None and value != "":
                return value
        return otherwise

    return _conditional(row, evaluate, collector)


def only_slot(row: Row, collector: Collector) -> int | None:
    """Return the slot without which a row has no value, None for a row that has more than one or another value."""
    return collector.slot(row.sources[0]) if len(row.sources) == 1 and row.otherwise is None else None


def _gathering(slots: t.Sequence[int], converted: value_types.Converter) -> Evaluation:
    def gather(values: t.Sequence[t.Any]) -> t.Any:
        together: list[t.Any] = []
        for slot in slots:
            value = values[slot]
            if isinstance(value, (list, tuple)):
                together += value
            elif value is not None:
                together.append(value)
        return converted(together) if together else None

    return gather


def _converted(row: Row, convert: value_types.Converter) -> value_types.Converter:
    """Return a function that translates, chooses of a list and converts."""
    translations, join = row.values, row.join
    keeps_lists = row.type in value_types.OF_LISTS

    def of_item(value: t.Any) -> t.Any:
        if translations is not None:
            value = translations.get(paths.text(value))
        return None if value is None else convert(value)

    def of_list(items: t.Sequence[t.Any]) -> t.Any:
        if keeps_lists:
            if translations is None:
                return convert(items)
            translated = (translations.get(paths.text(item)) for item in items)
            return convert([value for value in translated if value is not None])
        shown = (value for value in map(of_item, items) if value is not None)
        if join is not None:
            return join.join(dict.fromkeys(shown)) or None
        return next(shown, None)

    return lambda value: of_list(value) if isinstance(value, (list, tuple)) else of_item(value)


def _conditional(row: Row, evaluate: Evaluation, collector: Collector) -> Evaluation:
    if not row.when:
        return evaluate
    conditions = [(collector.slot(path), wanted) for path, wanted in row.when]

    def evaluate_if(values: t.Sequence[t.Any]) -> t.Any:
        for slot, wanted in conditions:
            value = values[slot]
            if value is None:
                return None
            items = value if isinstance(value, (list, tuple)) else (value,)
            # An empty text gives a field no value, so it is none for the fields that depend on it.
            if not any(item != "" and ("*" in wanted or paths.text(item) in wanted) for item in items):
                return None
        return evaluate(values)

    return evaluate_if
