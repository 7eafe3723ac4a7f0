# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the records of an exported file: JSON, with the list at one of the usual places, or one JSON object a line."""

from __future__ import annotations

import codecs
import gzip
import json
import pathlib
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

# Keys under which consoles and APIs have the list; Elasticsearch nests it.
_LISTS = ("value", "data", "results", "resources", "alerts", "events", "records", "hits")
_BYTES_LIMIT = 1 << 30
_LINE_LIMIT = 16 << 20
_MOST_RECORDS = 1_000_000
Record = dict[str, t.Any]


class Exported(t.NamedTuple):
    """records: objects of the file. damaged: numbers of lines that are no complete JSON object, the first of them."""

    records: list[Record]
    damaged: list[int]
    damaged_count: int


def read(path: pathlib.Path) -> Exported:
    """Return the records of a file, which may be compressed with gzip; raise ContentError for one that is none."""
    try:
        content = _content(path)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise ContentError(f"{path} cannot be read: {reason}") from error
    text = _decoded(content, path)
    try:
        value = json.loads(text)
    except RecursionError:
        raise ContentError(f"{path} is nested too deeply for an export of alerts") from None
    except ValueError as error:
        return _of_lines(text, path, error)
    return Exported(_records(value, path), [], 0)


def _content(path: pathlib.Path) -> bytes:
    with path.open("rb") as stream:
        is_compressed = stream.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if is_compressed else path.open("rb") as stream:
        content: bytes = stream.read(_BYTES_LIMIT + 1)
    if len(content) > _BYTES_LIMIT:
        raise ContentError(f"{path} has more than {_BYTES_LIMIT >> 20} MB; export fewer alerts at once")
    return content


def _decoded(content: bytes, path: pathlib.Path) -> str:
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ContentError(f"{path} is not text in UTF-8 (byte {error.start}); export it as JSON") from None


def _records(value: t.Any, path: pathlib.Path) -> list[Record]:
    listed = _listed(value)
    if listed is None:
        raise ContentError(f"{path} has no list of alerts; give an export in JSON, or one JSON object a line")
    if len(listed) > _MOST_RECORDS:
        raise _too_many(path)
    return [_source(each) for each in listed if isinstance(each, dict)]


def _too_many(path: pathlib.Path) -> ContentError:
    return ContentError(f"{path} has more than {_MOST_RECORDS:,} records; export fewer alerts at once")


def _listed(value: t.Any, depth: int = 0) -> list[t.Any] | None:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        for name in _LISTS if depth < 3 else ():
            inner = value.get(name)
            if isinstance(inner, (list, dict)) and (isinstance(inner, list) or name == "hits"):
                return _listed(inner, depth + 1)
        return [value]
    return None


def _source(record: Record) -> Record:
    """Return the record inside of Elasticsearch's wrapper."""
    inner = record.get("_source")
    return inner if isinstance(inner, dict) else record


def _of_lines(text: str, path: pathlib.Path, error: ValueError) -> Exported:
    records: list[Record] = []
    damaged: list[int] = []
    count = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line) if len(line) <= _LINE_LIMIT else None
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            if len(records) >= _MOST_RECORDS:
                raise _too_many(path)
            records.append(_source(value))
            continue
        count += 1
        if len(damaged) < 5:
            damaged.append(number)
    if not records:
        raise ContentError(f"{path} is not JSON: {error}; give an export in JSON, or one JSON object a line")
    return Exported(records, damaged, count)
