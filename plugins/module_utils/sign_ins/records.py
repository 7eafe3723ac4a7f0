# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read lines of a system log that are JSON: of templates of rsyslog and syslog-ng, of journalctl, and of shippers."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import stamps

# By what a field is called, nested ones with points; of several the first counts.
_MESSAGES = ("message", "msg", "event.original", "log.original", "syslog_message")
_PROGRAMS = (
    "syslog_identifier",
    "programname",
    "program",
    "app-name",
    "appname",
    "app_name",
    "log.syslog.appname",
    "process.name",
    "ident",
    "application",
    "process",
    "_comm",
)
_TAGS = ("syslogtag", "syslog-tag", "syslog_tag", "tag", "legacy_msghdr")
_PIDS = (
    "syslog_pid",
    "_pid",
    "procid",
    "proc-id",
    "pid",
    "process_id",
    "log.syslog.procid",
    "process.pid",
    "processid",
)
_TIMES = (
    "__realtime_timestamp",
    "_source_realtime_timestamp",
    "timereported",
    "@timestamp",
    "timestamp",
    "isodate",
    "time",
    "date",
    "datetime",
    "timegenerated",
    "eventtime",
    "unixtime",
    "ts",
)
_RAW = ("rawmsg", "rawmsg-after-pri", "raw")
_DEPTH = 3


class Record(t.NamedTuple):
    """What a line has. tag: as ``sshd[123]:``, empty where program and pid have fields. raw: a whole line, or nothing.

    time: None where the line has none that can be read.
    """

    time: float | None
    program: str
    pid: str
    tag: str
    message: str
    raw: str


class _DoubledError(ValueError):
    """A name is there twice: a text was put into the line that somebody else may have a say in."""


def parse(line: str, clock: stamps.Clock) -> Record | None:
    """Return the parts of a line that is one JSON object; None for any other, and where it has no message."""
    try:
        content = json.loads(line, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    fields = dict(_flat(content, "", _DEPTH))
    message, raw = _first(fields, _MESSAGES), _first(fields, _RAW)
    if not message and not raw:
        return None
    return Record(
        _time(_first(fields, _TIMES), clock),
        _first(fields, _PROGRAMS),
        _first(fields, _PIDS),
        _first(fields, _TAGS),
        # rsyslog's msg has the blank behind the tag.
        message[1:] if message.startswith(" ") else message,
        raw,
    )


def _distinct(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    fields = {name.casefold(): value for name, value in pairs}
    if len(fields) != len(pairs):
        raise _DoubledError("a name is there twice")
    return fields


def _flat(content: t.Mapping[str, t.Any], prefix: str, depth: int) -> t.Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, dict):
            if depth > 1:
                yield from _flat(value, "%s%s." % (prefix, name), depth - 1)
        elif isinstance(value, list):
            # journalctl has what is no UTF-8 as numbers.
            if value and all(isinstance(part, int) and 0 <= part < 256 for part in value):
                yield prefix + name, bytes(value).decode("utf-8", "surrogateescape")
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            yield prefix + name, value if isinstance(value, str) else repr(value)


def _first(fields: t.Mapping[str, str], names: t.Iterable[str]) -> str:
    for name in names:
        value = fields.get(name, "")
        if value and value != "-":
            return value
    return ""


def _time(text: str, clock: stamps.Clock) -> float | None:
    return stamps.read_text(text, clock) if text else None
