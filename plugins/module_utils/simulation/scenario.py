# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a simulation does, as content says it: programs that run, and audit records that are sent.

Everything that content can ask for is harmless by what it is, so that a mistake in it does no harm either: programs are
made by ``program.py``; a connection leaves the host only as one that sends nothing; a visitor comes from the host
itself; a file is only made where there is
none, and is named after the collection or empty; a system call is one of a few that fail or change nothing; a program
that stays sleeps, and ends by itself.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.calls import HARMLESS

MARK = "bulwark-simulation"
_MOST_TIMES = 500
# Until then somebody has looked.
_MOST_SECONDS = 600
# Where a simulation asks for no parents, it has two of its own: Ansible starts it, and what that does is no attack.
_PARENTS = ("bulwark-session", "bulwark-shell")
_RUN = {"name", "real", "place", "arguments", "argv0", "directory", "user", "under", "calls", "repeat", "times"} | {
    "from_memory",
    "stays",
}
_RECORD = {"type", "text", "times"}
_NAME = re.compile(r"[A-Za-z0-9 ._+@:\[\]()-]+(?:/[A-Za-z0-9 ._+@:\[\]()-]+)*")
_CALLS: t.Mapping[str, t.Mapping[str, type]] = {
    "connect": {"address": str, "port": int, "protocol": str},
    "listen": {"address": str, "port": int},
    "create": {"path": str, "text": str, "mode": str},
    "open": {"path": str, "create": bool},
    "remove": {"path": str},
    "rename": {"path": str, "to": str},
    "link": {"path": str, "to": str},
    "symlink": {"path": str, "to": str},
    "chmod": {"path": str, "mode": str},
    "call": {"name": str},
    "hold": {"string": str},
    "map": {},
}
_OPTIONAL = {"protocol", "text", "mode", "address", "create"}
RECORD_TYPES: t.Mapping[str, int] = {
    # linux/audit.h: what programs may send to the kernel's audit system.
    "USER_AUTH": 1100,
    "USER_ACCT": 1101,
    "USER_MGMT": 1102,
    "CRED_ACQ": 1103,
    "CRED_DISP": 1104,
    "USER_START": 1105,
    "USER_END": 1106,
    "USER_ERR": 1109,
    "USER_LOGIN": 1112,
    "USER_LOGOUT": 1113,
    "ADD_USER": 1114,
    "DEL_USER": 1115,
    "ADD_GROUP": 1116,
    "DEL_GROUP": 1117,
    "USER_CHAUTHTOK": 1108,
    "CHGRP_ID": 1119,
    "USER_CMD": 1123,
    "SYSTEM_SHUTDOWN": 1128,
    "SERVICE_START": 1130,
    "SERVICE_STOP": 1131,
    "GRP_MGMT": 1132,
    "GRP_CHAUTHTOK": 1133,
    "ANOM_LOGIN_FAILURES": 2100,
    "ANOM_LOGIN_TIME": 2101,
    "ANOM_LOGIN_SESSIONS": 2102,
    "ANOM_LOGIN_ACCT": 2103,
    "ANOM_LOGIN_LOCATION": 2104,
    "ANOM_ACCESS_FS": 2111,
    "ANOM_ADD_ACCT": 2114,
    "ANOM_DEL_ACCT": 2115,
    "ANOM_MOD_ACCT": 2116,
    "ANOM_ROOT_TRANS": 2117,
    "RESP_ACCT_LOCK": 2207,
    "ACCT_LOCK": 1135,
    "ACCT_UNLOCK": 1136,
}


class ProgramCall(t.NamedTuple):
    """One thing that a program does. fields: strings may hold placeholders."""

    kind: str
    fields: t.Mapping[str, t.Any]


class ProgramRun(t.NamedTuple):
    """A program that is started, so many times by the same parent. under: names of its parents, the outermost first.

    calls: what it does, so many times as ``repeat`` says. real: it is the host's own program of that name, not one that
    was made. place: the directory that it is made below, the workspace when None. user: account names, of which the
    first that the host has runs it. from_memory: it has no file on any disk. stays: seconds that it sleeps before it
    ends, so that it is there to be looked at; 0 for a program whose end is waited for.
    """

    name: str
    real: bool
    place: str | None
    arguments: tuple[str, ...]
    argv0: str | None
    directory: str
    user: tuple[str, ...]
    under: tuple[str, ...]
    calls: tuple[ProgramCall, ...]
    repeat: int
    times: int
    from_memory: bool = False
    stays: int = 0


class Record(t.NamedTuple):
    """A record that a program sends to the kernel's audit system, so many times."""

    type: str
    text: str
    times: int


class Scenario(t.NamedTuple):
    """The simulation of one alert. needs: paths without which the host has no such thing.

    visits: to what connections come in, as the hooks of capabilities name it.
    """

    alert: str
    needs: tuple[str, ...]
    runs: tuple[ProgramRun, ...]
    records: tuple[Record, ...]
    visits: tuple[str, ...] = ()


def scenario(content: t.Mapping[str, t.Any]) -> Scenario:
    """Return a simulation; UsageError with one sentence that names the alert and what is wrong with it."""
    alert = content.get("alert")
    if not isinstance(alert, str):
        raise UsageError("a simulation has no 'alert'")
    try:
        runs = tuple(_run(run) for run in _list(content, "runs"))
        records = tuple(_record(record) for record in _list(content, "records"))
        needs, visits = _strings(content, "needs"), _strings(content, "visits")
    except (TypeError, ValueError) as error:
        raise UsageError("the simulation of %s: %s" % (alert, error)) from error
    if not runs and not records and not visits:
        raise UsageError("the simulation of %s does nothing: it needs 'runs', 'records' or 'visits'" % alert)
    return Scenario(alert, needs, runs, records, visits)


def _run(content: t.Any) -> ProgramRun:
    _check_keys(content, _RUN, "a run")
    name = _text(content, "name")
    real = bool(content.get("real", False))
    calls = tuple(_call(call) for call in _list(content, "calls"))
    if real and (calls or "/" in name):
        raise ValueError("'%s' is a real program, which is found by its name and makes no 'calls'" % name)
    place = content.get("place")
    if place is not None and not (isinstance(place, str) and posixpath.isabs(place)):
        raise ValueError("'place' of %s is not an absolute path" % name)
    from_memory, stays = bool(content.get("from_memory", False)), _stays(content, name)
    if from_memory and (real or place is not None):
        raise ValueError("%s runs from memory, and is neither a real program nor has a 'place'" % name)
    under = _strings(content, "under") if "under" in content else _PARENTS
    if stays or from_memory:
        if content.get("under"):
            raise ValueError("%s stays or runs from memory, and is started by no program of 'under'" % name)
        under = ()
    for part in (name, *under):
        if not _NAME.fullmatch(part) or ".." in part.split("/"):
            raise ValueError("'%s' is not a name for a program" % part)
    user = content.get("user") or []
    if user and place is None and not from_memory:
        raise ValueError("%s runs as another account, which gets into no workspace: it needs a 'place'" % name)
    return ProgramRun(
        name=name,
        real=real,
        place=place,
        arguments=_strings(content, "arguments"),
        argv0=content.get("argv0"),
        directory=content.get("directory", "/"),
        user=(user,) if isinstance(user, str) else tuple(user),
        under=under,
        calls=calls,
        repeat=_times(content, "repeat"),
        times=_times(content, "times"),
        from_memory=from_memory,
        stays=stays,
    )


def _stays(content: t.Mapping[str, t.Any], name: str) -> int:
    seconds = content.get("stays", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= _MOST_SECONDS:
        raise ValueError("'stays' of %s is not a number of seconds from 1 to %d" % (name, _MOST_SECONDS))
    if seconds and content.get("real"):
        raise ValueError("'%s' is a real program, which ends when it does" % name)
    return seconds


def _call(content: t.Any) -> ProgramCall:
    if not isinstance(content, dict) or len(content) != 1:
        raise ValueError("each of 'calls' is a mapping with one key, such as open")
    ((kind, fields),) = content.items()
    known = _CALLS.get(kind)
    if known is None or not isinstance(fields, dict):
        raise ValueError("'%s' is not one of %s" % (kind, ", ".join(sorted(_CALLS))))
    _check_keys(fields, set(known), kind)
    for name, wanted in known.items():
        if name not in fields and name not in _OPTIONAL:
            raise ValueError("%s needs '%s'" % (kind, name))
        if name in fields and not isinstance(fields[name], wanted):
            raise ValueError("'%s' of %s is no %s" % (name, kind, wanted.__name__))
    _CHECKS.get(kind, _no_check)(fields)
    return ProgramCall(kind, dict(fields))


def _no_check(_fields: t.Mapping[str, t.Any]) -> None:
    return None


def _check_connect(fields: t.Mapping[str, t.Any]) -> None:
    protocol = fields.get("protocol", "udp")
    if protocol not in ("udp", "tcp"):
        raise ValueError("'protocol' of connect is udp or tcp")
    _address(fields["address"])
    # connect(2) of a datagram socket sends nothing, wherever it leads; of a stream socket it does.
    if protocol == "tcp" and not _is_loopback(fields["address"]):
        raise ValueError("connect with tcp is for loopback addresses only, not %s" % fields["address"])


def _check_listen(fields: t.Mapping[str, t.Any]) -> None:
    if not _is_loopback(fields.get("address", "127.0.0.1")):
        raise ValueError("listen is for loopback addresses only, not %s" % fields["address"])


def _is_loopback(address: str) -> bool:
    return _address(address).is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(text.replace("{number}", "1").replace("{address}", "192.0.2.1"))


def _check_create(fields: t.Mapping[str, t.Any]) -> None:
    _check_path(fields["path"])
    if fields.get("text") and MARK not in posixpath.basename(fields["path"]) and "{workspace}" not in fields["path"]:
        raise ValueError("a file that is not named after %s must be empty: %s" % (MARK, fields["path"]))


def _check_own(fields: t.Mapping[str, t.Any]) -> None:
    for name in ("path", "to"):
        path = fields.get(name)
        if path is not None and MARK not in path and "{workspace}" not in path and "{mark}" not in path:
            raise ValueError("only what a simulation made may be changed, not %s" % path)


def _check_made(fields: t.Mapping[str, t.Any]) -> None:
    if MARK not in fields["to"] and "{workspace}" not in fields["to"]:
        raise ValueError("a link must be named after %s, not %s" % (MARK, fields["to"]))
    _check_path(fields["path"])


def _check_path(path: str) -> None:
    if not (posixpath.isabs(path) or path.startswith("{workspace}")) or ".." in path.split("/"):
        raise ValueError("'%s' is not an absolute path" % path)


def _check_call(fields: t.Mapping[str, t.Any]) -> None:
    if fields["name"] not in HARMLESS:
        raise ValueError("call of %s is not one of %s" % (fields["name"], ", ".join(sorted(HARMLESS))))


_CHECKS: t.Mapping[str, t.Callable[[t.Mapping[str, t.Any]], None]] = {
    "connect": _check_connect,
    "listen": _check_listen,
    "create": _check_create,
    "open": lambda fields: _check_path(fields["path"]),
    "remove": _check_own,
    "rename": _check_own,
    "chmod": _check_own,
    "link": _check_made,
    "symlink": _check_made,
    "call": _check_call,
}


def _record(content: t.Any) -> Record:
    _check_keys(content, _RECORD, "a record")
    kind = _text(content, "type")
    if kind not in RECORD_TYPES:
        raise ValueError(
            "'%s' is not one of the records that programs send: %s" % (kind, ", ".join(sorted(RECORD_TYPES)))
        )
    return Record(kind, _text(content, "text"), _times(content, "times"))


def _check_keys(content: t.Any, known: t.Collection[str], what: str) -> None:
    if not isinstance(content, dict):
        raise TypeError("%s is not a mapping" % what)
    unknown = sorted(set(map(str, content)) - set(known))
    if unknown:
        raise ValueError("%s has unknown keys: %s" % (what, ", ".join(unknown)))


def _list(content: t.Mapping[str, t.Any], name: str) -> list[t.Any]:
    value = content.get(name, [])
    if not isinstance(value, list):
        raise TypeError("'%s' is not a list" % name)
    return value


def _strings(content: t.Mapping[str, t.Any], name: str) -> tuple[str, ...]:
    values = _list(content, name)
    if not all(isinstance(value, str) for value in values):
        raise ValueError("'%s' is not a list of strings; quote numbers" % name)
    return tuple(values)


def _text(content: t.Mapping[str, t.Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError("'%s' is not text" % name)
    return value


def _times(content: t.Mapping[str, t.Any], name: str) -> int:
    times = content.get(name, 1)
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= _MOST_TIMES:
        raise ValueError("'%s' is not a number from 1 to %d" % (name, _MOST_TIMES))
    return times
