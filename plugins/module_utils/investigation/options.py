# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of investigation_info, for the module and its action plugin."""

from __future__ import annotations

import calendar
import ipaddress
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.timeline import MOST_EVENTS

AUDIT_LOG = "/var/log/audit/audit.log"
# An investigation begins with exactly one of these.
SUBJECTS = ("finding", "pid", "path", "user", "address")
MOST_NODES = 5_000
_MOST_DEPTH = 20
_MOST_EVENTS = 20_000
_HOUR = 3_600.0
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?Z?)?\Z")
_SECONDS = re.compile(r"\d{1,11}(?:\.\d{1,9})?\Z")


class Options(t.NamedTuple):
    """The options, parsed.

    subject: one of SUBJECTS. value: what it is. evidences: what a finding shows, as OCSF has it. first, last: when it
    happened, in seconds since the epoch, None if unknown. since: seconds before that from which logs are read.
    """

    subject: str
    value: str
    evidences: t.Sequence[t.Mapping[str, t.Any]]
    first: float | None
    last: float | None
    since: float
    depth: int
    nodes: int
    events: int
    seconds: float
    audit_logs: t.Sequence[str]
    idle: bool


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of investigation_info, as the module's documentation describes it."""
    return {
        "finding": {"type": "str"},
        "pid": {"type": "int"},
        "path": {"type": "path"},
        "user": {"type": "str"},
        "address": {"type": "str"},
        "time": {"type": "str"},
        "store": {"type": "str"},
        "record": {"type": "bool", "default": False},
        "hours": {"type": "int", "default": 72},
        "depth": {"type": "int", "default": 6},
        "nodes": {"type": "int", "default": 500},
        "events": {"type": "int", "default": MOST_EVENTS},
        "time_budget": {"type": "int", "default": 30},
        "audit_logs": {"type": "list", "elements": "path", "default": [AUDIT_LOG]},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "_evidences": {"type": "list", "elements": "dict", "default": []},
        "_first_time": {"type": "float"},
        "_last_time": {"type": "float"},
    }


def parse(params: t.Mapping[str, t.Any]) -> Options:
    """Parse validated options of investigation_info. Raises UsageError."""
    least = {"hours": 1, "depth": 1, "nodes": 1, "events": 1, "time_budget": 1}
    check_options(params, ("path", "audit_logs"), least)
    for name, most in (("depth", _MOST_DEPTH), ("nodes", MOST_NODES), ("events", _MOST_EVENTS)):
        if params[name] > most:
            raise UsageError("%s is %d; use %d or less" % (name, params[name], most))
    given = [name for name in SUBJECTS if params[name] not in (None, "", 0)]
    if len(given) != 1:
        what = " and ".join(given) if given else "none of them"
        raise UsageError("%s is set; set exactly one of %s" % (what, ", ".join(SUBJECTS)))
    subject = given[0]
    _check(subject, params[subject])
    at = parse_time(params["time"])
    first, last = params["_first_time"], params["_last_time"]
    return Options(
        subject=subject,
        value=str(params[subject]),
        evidences=params["_evidences"] or [],
        first=first if at is None else at,
        last=last if at is None else at,
        since=params["hours"] * _HOUR,
        depth=params["depth"],
        nodes=params["nodes"],
        events=params["events"],
        seconds=float(params["time_budget"]),
        audit_logs=params["audit_logs"],
        idle=params["priority"] == "idle",
    )


def _check(subject: str, value: t.Any) -> None:
    if subject == "pid" and not 0 < value < 1 << 22:
        raise UsageError("pid is %d; give the number of a process, from 1 to %d" % (value, (1 << 22) - 1))
    if subject == "path" and ".." in value.split("/"):
        raise UsageError("path: '%s' has .. in it; name the file itself" % value)
    if subject == "address":
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise UsageError("address: '%s' is not an address; give one of IPv4 or IPv6" % value) from None


def parse_time(text: str | None) -> float | None:
    """Return seconds since the epoch of a time in UTC, as RFC 3339 or as seconds; None without one."""
    if text is None or not text.strip():
        return None
    text = text.strip()
    if _SECONDS.match(text):
        return float(text)
    match = _TIME.match(text)
    wrong = "time: '%s' is not a time; write it in UTC as 2026-11-30T02:49:00Z or in seconds since the epoch" % text
    if match is None:
        raise UsageError(wrong)
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        # strptime checks the ranges, timegm does not.
        written = "%04d %02d %02d %02d %02d %02d" % (year, month, day, hour, minute, second)
        return calendar.timegm(time.strptime(written, "%Y %m %d %H %M %S")) + float(match.group(7) or 0)
    except ValueError:
        raise UsageError(wrong) from None
