# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of scheduled queries of osquery that mean an alert; most results are only facts.

Rules of the content say which: part of the query's name, the action, and patterns of columns. Source:
https://osquery.readthedocs.io/en/stable/deployment/logging/. A snapshot has a list of rows, and a batch has
``diffResults``.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _secrets
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence, fields
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

_ACTIONS = ("added", "removed", "snapshot")
# A pattern must not take for ever on what an intruder wrote, who must not hide behind a long beginning either: a column
# is searched in parts that overlap.
_WINDOW, _STEP, _MOST_COLUMN = 1_024, 512, 16_384
_MOST_ROWS = 10_000


def read(line: str, source: Source) -> list[ProductAlert]:
    """Return the alerts of a line; raise NotUnderstoodError for a line that osquery does not write."""
    return of_record(fields.load(line), source)


def of_record(record: t.Mapping[str, t.Any], source: Source) -> list[ProductAlert]:
    """Return the alerts of a JSON object: one result, a snapshot or a batch."""
    name = fields.text(record.get("name"))
    if name is None:
        raise fields.NotUnderstoodError("it has no name of a query")
    alerts = []
    for action, columns in _rows(record):
        for rule in source.rules:
            if rule["query"] in name and action in rule.get("actions", ("added",)) and _fits(rule, columns):
                alerts.append(_alert(record, name, action, columns, rule, source))
                break
    return alerts


def _rows(record: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, t.Mapping[str, t.Any]]]:
    action = fields.text(record.get("action"))
    changes = record.get("diffResults")
    if isinstance(changes, dict):
        rows = [(each, row) for each in ("added", "removed") for row in _list(changes.get(each))]
    elif action == "snapshot":
        rows = [(action, row) for row in _list(record.get("snapshot"))]
    elif action in _ACTIONS:
        rows = [(action, record.get("columns"))]
    else:
        raise fields.NotUnderstoodError("it has no action that osquery knows")
    for kind, row in rows[:_MOST_ROWS]:
        if isinstance(row, dict):
            yield kind, row


def _list(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else []


def _fits(rule: t.Mapping[str, t.Any], columns: t.Mapping[str, t.Any]) -> bool:
    """Say whether every column that the rule names matches one of its patterns."""
    return all(
        any(re.search(pattern, part, re.IGNORECASE) for part in _windows(columns.get(name)) for pattern in patterns)
        for name, patterns in rule.get("columns", {}).items()
    )


def _windows(value: t.Any) -> list[str]:
    whole = "" if value is None or isinstance(value, (dict, list)) else str(value)[:_MOST_COLUMN]
    return [whole[start : start + _WINDOW] for start in range(0, max(1, len(whole) - _STEP), _STEP)]


def _without_secrets(value: str | None) -> str | None:
    """Return a text with its secrets masked; a digest still tells it from another one, as it is part of an identity."""
    masked = None if value is None else _secrets.masked(value)
    if value is None or masked == value:
        return value
    return "%s (%s)" % (masked, hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:8])


def _alert(
    record: t.Mapping[str, t.Any],
    name: str,
    action: str,
    columns: t.Mapping[str, t.Any],
    rule: t.Mapping[str, t.Any],
    source: Source,
) -> ProductAlert:
    about = [_without_secrets(fields.text(columns.get(each))) for each in rule.get("subject", ())]
    shown = " ".join(each for each in about if each)
    get = columns.get
    return ProductAlert(
        product=source.id,
        title=rule["title"],
        subject="%s: %s" % (rule["title"], shown or name),
        time=fields.when(record.get("unixTime")) or fields.when(record.get("calendarTime")),
        severity=source.severity(rule["severity"]),
        own_severity=rule["severity"],
        rule=name,
        techniques=tuple(rule.get("techniques", ())),
        evidences=[
            evidence.without_empty(
                {
                    "file": evidence.file(
                        get("path") or get("target_path"), get("md5"), get("sha1"), get("sha256"), size=get("size")
                    ),
                    "process": evidence.process(
                        pid=get("pid"),
                        path=get("path") if get("pid") else None,
                        cmd_line=get("cmdline"),
                        name=get("name"),
                    ),
                    "user": evidence.user(get("username"), get("uid")),
                    "src_endpoint": evidence.endpoint(get("local_address"), get("local_port")),
                    "dst_endpoint": evidence.endpoint(get("remote_address"), get("remote_port")),
                    "data": evidence.data({"query": name, "action": action, **columns}),
                }
            )
        ],
        host=[
            *fields.texts(record.get("hostIdentifier")),
            *fields.texts(fields.get(record, "decorations", "host_uuid")),
        ],
    )
