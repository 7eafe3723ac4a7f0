# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the rows of a mapping from its file and check them; ``mapping`` says what a row may have."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import paths, value_types

_TEXT_KEYS = ("field", "type", "join", "too_long", "label", "reference")
_KEYS = frozenset({*_TEXT_KEYS, "source", "gather", "constant", "values", "otherwise", "limit", "when", "versions"})
_ORIGINS = ("source", "gather", "constant")
_TOO_LONG = ("cut", "leave_out")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a mapping."""

    field: str
    type: str
    sources: tuple[str, ...] = ()
    gathered: tuple[str, ...] = ()
    constant: t.Any = None
    values: t.Mapping[str, t.Any] | None = None
    otherwise: t.Any = None
    join: str | None = None
    limit: int | None = None
    too_long: str = "cut"
    when: tuple[tuple[str, frozenset[str]], ...] = ()
    versions: tuple[str, ...] = ()
    label: str | None = None
    reference: str | None = None


def read(path: pathlib.Path) -> tuple[Row, ...]:
    """Return the rows of a file with those of its base; raise ContentError."""
    data = catalogue.mapping(catalogue.read(path), str(path))
    unknown = sorted(set(map(str, data)) - {"base", "rows"})
    if unknown:
        raise ContentError(f"{path}: '{unknown[0]}' is unknown, a mapping has only 'base' and 'rows'")
    rows = data.get("rows")
    if not isinstance(rows, list) or not rows:
        raise ContentError(f"{path}: 'rows' must be a list of at least one row")
    own = [parse(fields, f"{path}: row {number}") for number, fields in enumerate(rows, start=1)]
    base = data.get("base")
    if base is None:
        return tuple(own)
    if not isinstance(base, str) or not base.isidentifier():
        raise ContentError(f"{path}: 'base' must be the name of a file beside it, without .yml")
    replaced = {row.field for row in own}
    return (*(row for row in read(path.with_name(f"{base}.yml")) if row.field not in replaced), *own)


def parse(fields: t.Any, where: str) -> Row:
    """Return one row; raise ContentError, whose sentence begins with ``where``."""
    if not isinstance(fields, dict):
        raise ContentError(f"{where} must be a mapping")
    if isinstance(fields.get("field"), str):
        where = f"{where} ({fields['field']})"
    unknown = sorted(set(map(str, fields)) - _KEYS)
    if unknown:
        raise ContentError(f"{where}: '{unknown[0]}' is unknown, use only {', '.join(sorted(_KEYS))}")
    for key in _TEXT_KEYS:
        if key in fields and (not isinstance(fields[key], str) or not fields[key]):
            raise ContentError(f"{where}: '{key}' must be a text")
    for key in ("field", "type"):
        if key not in fields:
            raise ContentError(f"{where}: '{key}' is missing")
    if fields["type"] not in value_types.CONVERTERS:
        raise ContentError(f"{where}: type '{fields['type']}' is not one of {', '.join(value_types.CONVERTERS)}")
    if sum(key in fields for key in _ORIGINS) != 1:
        raise ContentError(f"{where}: exactly one of {', '.join(_ORIGINS)} is needed")
    row = Row(
        field=fields["field"],
        type=fields["type"],
        sources=_paths(fields, "source", where),
        gathered=_paths(fields, "gather", where),
        constant=fields.get("constant"),
        values=_values(fields, where),
        otherwise=fields.get("otherwise"),
        join=fields.get("join"),
        limit=_limit(fields, where),
        too_long=fields.get("too_long", "cut"),
        when=_conditions(fields, where),
        versions=_texts(fields, "versions", where),
        label=fields.get("label"),
        reference=fields.get("reference"),
    )
    _check(row, where)
    return row


def _check(row: Row, where: str) -> None:
    if row.too_long not in _TOO_LONG:
        raise ContentError(f"{where}: 'too_long' must be one of {', '.join(_TOO_LONG)}")
    if row.join is not None and row.type != "text":
        raise ContentError(f"{where}: 'join' is only for the type text")
    if row.limit is not None and row.type not in ("text", "json", "list"):
        raise ContentError(f"{where}: 'limit' is only for the types text, json and list")
    is_constant = not row.sources and not row.gathered
    if is_constant and (row.values is not None or row.otherwise is not None or row.join is not None):
        raise ContentError(f"{where}: a constant needs no 'values', 'otherwise' or 'join'")
    for name, fixed in (("constant", row.constant), ("otherwise", row.otherwise)):
        if fixed is not None and value_types.CONVERTERS[row.type](fixed) is None:
            raise ContentError(f"{where}: '{name}' must be of the type {row.type}")
    if is_constant and row.constant is None:
        raise ContentError(f"{where}: 'constant' has no value")
    for translated in (row.values or {}).values():
        if value_types.CONVERTERS[row.type](translated) is None:
            raise ContentError(f"{where}: 'values' must all be of the type {row.type}")


def _paths(fields: t.Mapping[str, t.Any], key: str, where: str) -> tuple[str, ...]:
    given = _texts(fields, key, where)
    for path in given:
        _check_path(path, where)
    return given


def _check_path(path: str, where: str) -> None:
    try:
        paths.compiled(path)
    except paths.PathError as error:
        raise ContentError(f"{where}: {error}") from None


def _texts(fields: t.Mapping[str, t.Any], key: str, where: str) -> tuple[str, ...]:
    if key not in fields:
        return ()
    value = fields[key]
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, str) and item for item in items):
        raise ContentError(f"{where}: '{key}' must be a text or a list of texts")
    return tuple(items)


def _values(fields: t.Mapping[str, t.Any], where: str) -> dict[str, t.Any] | None:
    if "values" not in fields:
        return None
    values = fields["values"]
    if not isinstance(values, dict) or not values:
        raise ContentError(f"{where}: 'values' must be a mapping with at least one entry")
    return {paths.text(key): value for key, value in values.items()}


def _limit(fields: t.Mapping[str, t.Any], where: str) -> int | None:
    limit = fields.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ContentError(f"{where}: 'limit' must be a whole number from 1")
    return limit


def _conditions(fields: t.Mapping[str, t.Any], where: str) -> tuple[tuple[str, frozenset[str]], ...]:
    if "when" not in fields:
        return ()
    conditions = fields["when"]
    if not isinstance(conditions, dict) or not conditions:
        raise ContentError(f"{where}: 'when' must be a mapping of paths to values")
    parsed = []
    for path, wanted in conditions.items():
        _check_path(str(path), where)
        items = wanted if isinstance(wanted, list) else [wanted]
        if not items or any(isinstance(item, (dict, list)) or item is None for item in items):
            raise ContentError(f"{where}: 'when' needs a value or a list of values for {path}")
        parsed.append((str(path), frozenset(map(paths.text, items))))
    return tuple(parsed)
