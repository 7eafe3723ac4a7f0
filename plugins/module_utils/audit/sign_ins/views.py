# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules see of a sign-in and of a line of a log, and what findings show of it."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line, SignIn, is_address

_LONGEST = 1024
_FIELDS = (
    ("Outcome", "outcome"),
    ("Service", "service"),
    ("User", "user"),
    ("UserKnown", "known"),
    ("SourceIp", "source"),
    ("SourcePort", "port"),
    ("Method", "method"),
    ("Reason", "reason"),
    ("TargetUser", "target"),
    ("Terminal", "terminal"),
)


def of_sign_in(one: SignIn) -> dict[str, t.Any]:
    """Return the view of a sign-in: what is not known has no key.

    ``SourceIp`` is a host's name where the log has nothing else. ``SourceLocal``: yes when nobody came over a network.
    """
    view: dict[str, t.Any] = {}
    for field, name in _FIELDS:
        value = getattr(one, name)
        if value:
            view[field] = value
    view["SourceLocal"] = "no" if one.source else "yes"
    return view


def of_line(line: Line) -> dict[str, t.Any]:
    """Return the view of a line: ``Service`` is the program, too, as builtin services of Sigma are called."""
    return {"Message": line.message, "Program": line.program, "Service": line.program, "ProcessId": str(line.pid)}


def evidence_of_sign_in(one: SignIn) -> dict[str, t.Any]:
    """Return what a finding shows, as OCSF evidence."""
    facts = {
        "time": stamp(one.time),
        "outcome": one.outcome,
        "service": one.service,
        "method": one.method,
        "user": one.user,
        "source": one.source,
        "reason": one.reason,
        "terminal": one.terminal,
        "target_user": one.target,
        "account_exists": one.known,
        "log": one.family,
    }
    found: dict[str, t.Any] = {"data": {name: shown(value) for name, value in facts.items() if value}}
    if one.times > 1:
        found["data"]["attempts"] = one.times
    if one.user:
        found["actor"] = {"user": {"name": shown(one.user)}}
    if one.target:
        found["user"] = {"name": shown(one.target)}
    if is_address(one.source):
        found["src_endpoint"] = {"ip": one.source}
    elif one.source:
        found["src_endpoint"] = {"hostname": shown(one.source)}
    if one.port.isdigit() and "src_endpoint" in found and int(one.port) < 65536:
        found["src_endpoint"]["port"] = int(one.port)
    return found


def evidence_of_line(line: Line, moment: float) -> dict[str, t.Any]:
    return {
        "data": {"time": stamp(moment), "program": shown(line.program), "message": shown(line.message), "pid": line.pid}
    }


def stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def shown(text: str) -> str:
    return printable(text[:_LONGEST])
