# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Read the content that says which value of an OCSF event becomes which field of a receiver, and apply it.

``content/export/FORMAT/CLASS.yml`` (detection, compliance, vulnerability, scan) has ``rows``, and may name as ``base``
a file beside it whose rows come first; a row of the class replaces the rows of the base for the same field. A row has:

``field``
    the receiver's name of it; a format may give dots or labels in it a meaning of its own.
``source`` or ``constant``
    a path into the event (see ``paths``) or a list of paths, the first with a value; or a value that is always the
    same.
``type``
    ``text`` (anything else becomes compact JSON), ``list`` (of texts, without repetitions), ``integer`` (32 bits),
    ``long`` (64 bits), ``float``, ``boolean``, ``port``, ``ip``, ``ipv4``, ``ipv6``, ``mac``, ``milliseconds`` and
    ``seconds`` (since the epoch, of OCSF's milliseconds), ``iso_time`` (``2026-11-29T22:24:00.000Z``), ``json``
    (compact JSON as a text), ``object`` (as it is). A value that is none gives no field. Types other than ``list``,
    ``json`` and ``object`` take the first item of a list that fits.
``values``
    translation of what the event has, by its text (``true``, ``2004``); what it doesn't list gives no field.
``otherwise``
    a value of ``type`` for events that give none.
``join``
    for ``text``: all items of a list, with this between them.
``limit``
    characters, of each item for a ``list``. What is longer is cut and marked (see ``shortening``), with ``join`` after
    an item; with ``too_long: leave_out`` it gives no field, for what names something else once it is cut. Both count.
``when``
    paths with the value or the list of values that the event must have there, all of them.
``versions``
    the versions of the format that have the field, as texts; all of them without.
``label``
    what a custom field means, for formats that send that too.
``reference``
    the name that the vendor's reference has for the field. Without it the field is ours.

Rows of the same field are alternatives: the first that gives a value is taken.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import paths, shortening, value_types
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

DIRECTORY = catalogue.CONTENT / "export"
# The name of a class's file by OCSF's class_uid.
CLASSES: t.Mapping[int, str] = {2004: "detection", 2003: "compliance", 2002: "vulnerability", 6007: "scan"}

_TEXT_KEYS = ("field", "type", "join", "too_long", "label", "reference")
_KEYS = frozenset({*_TEXT_KEYS, "source", "constant", "values", "otherwise", "limit", "when", "versions"})
_TOO_LONG = ("cut", "leave_out")


class Values(t.NamedTuple):
    """An event's fields by name, each of the type of its row, and how many values are not whole."""

    fields: dict[str, t.Any]
    shortened: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a mapping; see the module."""

    field: str
    type: str
    sources: tuple[str, ...] = ()
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


class Mapping:
    """The rows of one class of events in one format, ready to be applied to many events."""

    def __init__(self, rows: t.Iterable[Row]) -> None:
        self.rows = tuple(rows)
        self.labels: dict[str, str] = {row.field: row.label for row in self.rows if row.label is not None}
        self._steps = [(row, row.field, _evaluation(row), row.limit) for row in self.rows]

    def apply(self, event: t.Mapping[str, t.Any]) -> Values:
        """Return the fields of an event."""
        fields: dict[str, t.Any] = {}
        shortened = 0
        for row, field, evaluate, limit in self._steps:
            if field in fields:
                continue
            value = evaluate(event)
            if value is None:
                continue
            if limit is not None and (type(value) is not str or len(value) > limit):
                value, number = _within(row, value, limit)
                shortened += number
                if value is None:
                    continue
            fields[field] = value
        return Values(fields, shortened)


@functools.cache
def load(format_name: str, class_name: str, version: str | None = None) -> Mapping:
    """Return the mapping of a class of events in a format; raise ContentError, which names the file and the row."""
    rows = read(DIRECTORY / format_name / f"{class_name}.yml")
    return Mapping(row for row in rows if version is None or not row.versions or version in row.versions)


def for_event(format_name: str, event: t.Mapping[str, t.Any], version: str | None = None) -> Mapping:
    """Return the mapping for the class of an event; raise UnfitError for a class that no format has."""
    class_uid = event.get("class_uid")
    name = CLASSES.get(class_uid) if isinstance(class_uid, int) else None
    if name is None:
        raise UnfitError(
            f"its class_uid is {str(class_uid)[:40]}, and only {', '.join(map(str, CLASSES))} are exported"
        )
    return load(format_name, name, version)


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
        raise ContentError(f"{where}: type '{fields['type']}' is none of {', '.join(value_types.CONVERTERS)}")
    if ("source" in fields) == ("constant" in fields):
        raise ContentError(f"{where}: exactly one of 'source' and 'constant' is needed")
    row = Row(
        field=fields["field"],
        type=fields["type"],
        sources=_sources(fields, where),
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
    if not row.sources and (row.values is not None or row.otherwise is not None or row.join is not None):
        raise ContentError(f"{where}: a constant needs no 'values', 'otherwise' or 'join'")
    for name, fixed in (("constant", row.constant), ("otherwise", row.otherwise)):
        if fixed is not None and value_types.CONVERTERS[row.type](fixed) is None:
            raise ContentError(f"{where}: '{name}' must be of the type {row.type}")
    if not row.sources and row.constant is None:
        raise ContentError(f"{where}: 'constant' has no value")
    for translated in (row.values or {}).values():
        if value_types.CONVERTERS[row.type](translated) is None:
            raise ContentError(f"{where}: 'values' must all be of the type {row.type}")


def _sources(fields: t.Mapping[str, t.Any], where: str) -> tuple[str, ...]:
    sources = _texts(fields, "source", where)
    for source in sources:
        _getter(source, where)
    return sources


def _getter(path: str, where: str) -> paths.Getter:
    try:
        return paths.compiled(path)
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
        _getter(str(path), where)
        items = wanted if isinstance(wanted, list) else [wanted]
        if not items or any(isinstance(item, (dict, list)) or item is None for item in items):
            raise ContentError(f"{where}: 'when' needs a value or a list of values for {path}")
        parsed.append((str(path), frozenset(map(paths.text, items))))
    return tuple(parsed)


def _evaluation(row: Row) -> paths.Getter:
    """Return a function that gives a row's value in an event, None where it has none."""
    convert = value_types.CONVERTERS[row.type]
    if not row.sources:
        constant = convert(row.constant)
        return _conditional(row, lambda _event: constant)
    converted = _converted(row, convert)
    getters = [paths.compiled(source) for source in row.sources]
    otherwise = convert(row.otherwise)
    if len(getters) == 1 and otherwise is None:
        (get,) = getters

        def evaluate(event: t.Any) -> t.Any:
            value = get(event)
            return None if value is None else converted(value)

        return _conditional(row, evaluate)

    def evaluate_all(event: t.Any) -> t.Any:
        for get in getters:
            value = get(event)
            if value is not None:
                value = converted(value)
                if value is not None:
                    return value
        return otherwise

    return _conditional(row, evaluate_all)


def _converted(row: Row, convert: value_types.Converter) -> value_types.Converter:
    """Return a function that translates, chooses of a list and converts."""
    values, join = row.values, row.join
    keeps_lists = row.type in value_types.OF_LISTS

    def of_item(value: t.Any) -> t.Any:
        if values is not None:
            value = values.get(paths.text(value))
        return None if value is None else convert(value)

    def of_list(items: t.Sequence[t.Any]) -> t.Any:
        if keeps_lists:
            if values is None:
                return convert(items)
            translated = (values.get(paths.text(item)) for item in items)
            return convert([value for value in translated if value is not None])
        shown = (value for value in map(of_item, items) if value is not None)
        if join is not None:
            return join.join(dict.fromkeys(shown)) or None
        return next(shown, None)

    return lambda value: of_list(value) if isinstance(value, (list, tuple)) else of_item(value)


def _conditional(row: Row, evaluate: paths.Getter) -> paths.Getter:
    if not row.when:
        return evaluate
    conditions = [(paths.compiled(path), wanted) for path, wanted in row.when]

    def evaluate_if(event: t.Any) -> t.Any:
        for get, wanted in conditions:
            value = get(event)
            items = value if isinstance(value, list) else (value,)
            if not any(paths.text(item) in wanted for item in items):
                return None
        return evaluate(event)

    return evaluate_if


def _within(row: Row, value: t.Any, limit: int) -> tuple[t.Any, int]:
    """Return a value within its row's limit, and how many texts had to be shortened."""
    if not isinstance(value, list):
        if len(value) <= limit:
            return value, 0
        return (None if row.too_long == "leave_out" else shortening.cut(value, limit, row.join)), 1
    long = sum(len(item) > limit for item in value)
    if not long:
        return value, 0
    if row.too_long == "leave_out":
        return [item for item in value if len(item) <= limit] or None, long
    return [shortening.cut(item, limit) for item in value], long
