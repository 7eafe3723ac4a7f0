# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Read the content that says which value of an OCSF event becomes which field of a receiver, and apply it.

``content/export/FORMAT/CLASS.yml`` (detection, compliance, vulnerability, scan) has ``rows``, and may name as ``base``
a file beside it whose rows come first; a row of the class replaces the rows of the base for the same field. A row has:

``field``
    the receiver's name of it; a format may give dots or labels in it a meaning of its own.
``source``, ``gather`` or ``constant``
    a path into the event (see ``paths``) or a list of paths, of which the first with a value counts; paths whose values
    together are one list; or a value that is always the same.
``type``
    ``text`` (anything else becomes compact JSON), ``list`` (of texts, without repetitions), ``integer`` (32 bits),
    ``long`` (64 bits), ``float``, ``boolean``, ``port``, ``ip``, ``ipv4``, ``ipv6``, ``ip_list`` (without
    repetitions), ``mac``, ``milliseconds`` and ``seconds`` (since the epoch, of OCSF's milliseconds), ``iso_time``
    (``2026-11-29T22:24:00.000Z``), ``json`` (compact JSON as a text), ``object`` (as it is). A value that is none gives
    no field. Types other than ``list``, ``ip_list``, ``json`` and ``object`` take the first item of a list that fits.
``values``
    translation of what the event has, by its text (``true``, ``2004``); what it doesn't list gives no field.
``otherwise``
    a value of ``type`` for events that give none.
``join``
    for ``text``: all items of a list, with this between them.
``limit``
    characters, of each item for a ``list``. A longer value is cut and marked (see ``shortening``), with ``join`` after
    an item, and a list as ``json`` after one too. ``too_long: leave_out`` gives no field then, for what names something
    else once it is cut. Both count as shortened.
``when``
    paths with the value or the list of values that the event must have there, ``"*"`` for any; all must hold.
``versions``
    the versions of the format that have the field, as texts; all of them without.
``label``
    what a custom field means, for formats that send that too.
``reference``
    the name that the vendor's reference has for the field. Without it the field is ours.

Rows of the same field are alternatives: the first that gives a value is taken.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import shortening
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.collector import Collector
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.evaluation import evaluation, only_slot
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.rows import Row, read

DIRECTORY = catalogue.CONTENT / "export"
# The name of a class's file by OCSF's class_uid.
CLASSES: t.Mapping[int, str] = {2004: "detection", 2003: "compliance", 2002: "vulnerability", 6007: "scan"}

Cleaner = t.Callable[[str], str]


class Values(t.NamedTuple):
    """An event's fields by name, each of the type of its row, and how many values are not whole."""

    fields: dict[str, t.Any]
    shortened: int


class Mapping:
    """The rows of one class of events in one format, ready to be applied to many events.

    clean: brings a text into what the format can carry, before its length counts; called for texts that have characters
    other than printable ones.
    """

    def __init__(self, rows: t.Iterable[Row], clean: Cleaner = str) -> None:
        self.rows = tuple(rows)
        self._clean = clean
        self.labels: dict[str, str] = {row.field: row.label for row in self.rows if row.label is not None}
        self._collector = Collector()
        self._steps = [
            (row, row.field, only_slot(row, self._collector), evaluation(row, self._collector), row.limit)
            for row in self.rows
        ]

    def apply(self, event: t.Mapping[str, t.Any]) -> Values:
        """Return the fields of an event; raise UnfitError for what no text can show, such as an endless object."""
        try:
            return self._fields(self._collector.collect(event))
        except (TypeError, ValueError, RecursionError) as error:
            raise UnfitError(f"it cannot be written as text: {error}") from None

    def _fields(self, values: t.Sequence[t.Any]) -> Values:
        fields: dict[str, t.Any] = {}
        shortened = 0
        for row, field, slot, evaluate, limit in self._steps:
            if (slot is not None and values[slot] is None) or field in fields:
                continue
            value = evaluate(values)
            if value is None:
                continue
            if isinstance(value, str):
                if not value.isprintable():
                    value = self._clean(value)
            elif isinstance(value, list):
                value = [self._clean(item) if isinstance(item, str) else item for item in value]
            if limit is not None and (not isinstance(value, str) or len(value) > limit):
                value, number = _within(row, value, limit)
                shortened += number
                if value is None:
                    continue
            fields[field] = value
        return Values(fields, shortened)


@functools.cache
def load(format_name: str, class_name: str, version: str | None = None, clean: Cleaner = str) -> Mapping:
    """Return the mapping of a class of events in a format; raise ContentError, which names the file and the row."""
    rows = read(DIRECTORY / format_name / f"{class_name}.yml")
    return Mapping((row for row in rows if version is None or not row.versions or version in row.versions), clean)


def for_event(
    format_name: str, event: t.Mapping[str, t.Any], version: str | None = None, clean: Cleaner = str
) -> Mapping:
    """Return the mapping for the class of an event; raise UnfitError for a class that no format has."""
    class_uid = event.get("class_uid")
    name = CLASSES.get(class_uid) if isinstance(class_uid, int) else None
    if name is None:
        raise UnfitError(
            f"its class_uid is {str(class_uid)[:40]}, and only {', '.join(map(str, CLASSES))} are exported"
        )
    return load(format_name, name, version, clean)


def _within(row: Row, value: t.Any, limit: int) -> tuple[t.Any, int]:
    """Return a value within its row's limit, and how many texts had to be shortened."""
    if not isinstance(value, list):
        if len(value) <= limit:
            return value, 0
        if row.too_long == "leave_out":
            return None, 1
        if row.type == "json" and value[0] == "[":
            return shortening.cut_json_list(value, limit), 1
        return shortening.cut(value, limit, row.join), 1
    long = sum(len(item) > limit for item in value)
    if not long:
        return value, 0
    if row.too_long == "leave_out":
        return [item for item in value if len(item) <= limit] or None, long
    return [shortening.cut(item, limit) for item in value], long
