# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of memory_scan_info and memory_response, for the modules and their action plugins."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options

# What the coverage names: the processes that were looked at, what only the whole host can tell, and what is new since
# the last scan of the whole host.
PROCESSES, HOST, DRIFT = "processes", "host", "drift"
# The actions of memory_response.
CAPTURE, STOP, CONTINUE, KILL = "capture", "stop", "continue", "kill"
_MIB = 1 << 20
# PID_MAX_LIMIT of linux/threads.h.
_LAST_PID = 1 << 22
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
# date.fromisoformat takes more from Python 3.11 on.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")

# A part of the name of a file.
_RUN = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


@dataclasses.dataclass(frozen=True)
class Allowed:
    """An entry of the allowlist: all of what it names must fit.

    sha256: of the executable, in lower case; package: the name of the one that ships the executable. At least one of
    them is there. path: of the executable, None for any. subtypes: what it allows, empty for all that may be
    legitimate. until: the last day.
    """

    sha256: str | None
    package: str | None
    path: str | None
    subtypes: tuple[str, ...]
    reason: str
    until: dt.date

    def is_over(self, today: dt.date) -> bool:
        return today > self.until

    @property
    def shown(self) -> str:
        """Return what it is about, for people."""
        return self.path or self.package or "sha256 %s" % self.sha256


@dataclasses.dataclass(frozen=True)
class Options:
    """Hold the options of memory_scan_info, parsed.

    pids, users, names: which processes; with several of them, those that any of them chooses, with none all.
    exclude: pids that are left out whatever else says so. full: whether signatures are looked for in all memory.
    time_budget: seconds. read_budget: bytes of memory. yara_rules: files on the host.
    """

    pids: tuple[int, ...]
    users: tuple[str, ...]
    names: tuple[str, ...]
    exclude: frozenset[int]
    full: bool
    drift: bool
    time_budget: int
    read_budget: int
    idle: bool
    allowlist: tuple[Allowed, ...]
    yara_rules: tuple[str, ...]
    state_dir: str | None
    lock_timeout: int
    max_findings: int

    @property
    def whole_host(self) -> bool:
        """Say whether every process is looked at: only then does what is not found say something of the host."""
        return not (self.pids or self.users or self.names)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return what the coverage has to speak of."""
        return (PROCESSES, HOST, DRIFT) if self.drift else (PROCESSES, HOST)


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of memory_scan_info, as the module's documentation describes it.

    ``_content`` is what plugin_utils/memory_scan/content.py packs.
    """
    return {
        "pids": {"type": "list", "elements": "int", "default": []},
        "users": {"type": "list", "elements": "str", "default": []},
        "names": {"type": "list", "elements": "str", "default": []},
        "exclude": {"type": "list", "elements": "int", "default": []},
        "full": {"type": "bool", "default": False},
        "drift": {"type": "bool", "default": True},
        "time_budget": {"type": "int", "default": 120},
        "read_budget": {"type": "int", "default": 4096},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "allowlist": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "sha256": {"type": "str"},
                "package": {"type": "str"},
                "path": {"type": "str"},
                "subtypes": {"type": "list", "elements": "str", "default": []},
                "reason": {"type": "str", "required": True},
                "until": {"type": "str", "required": True},
            },
        },
        "own_signatures": {"type": "bool", "default": True},
        "signature_paths": {"type": "list", "elements": "path", "default": []},
        "yara_rules": {"type": "list", "elements": "path", "default": []},
        "max_findings": {"type": "int", "default": 1000},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
        "_content": {"type": "str"},
    }


def parse(params: t.Mapping[str, t.Any]) -> Options:
    """Parse validated options of memory_scan_info. Raises UsageError."""
    least = {"time_budget": 1, "read_budget": 1, "max_findings": 1, "lock_timeout": 0}
    check_options(params, ("state_dir", "yara_rules"), least)
    for option in ("pids", "exclude"):
        for pid in params[option]:
            if not 1 <= pid <= _LAST_PID:
                raise UsageError("%s: %d is not a process id; they are from 1 to %d" % (option, pid, _LAST_PID))
    for option in ("users", "names"):
        if not all(params[option]):
            raise UsageError("%s: one of them is empty; leave it out, or name what is meant" % option)
    return Options(
        pids=tuple(params["pids"]),
        users=tuple(params["users"]),
        names=tuple(params["names"]),
        exclude=frozenset(params["exclude"]),
        full=params["full"],
        drift=params["drift"],
        time_budget=params["time_budget"],
        read_budget=params["read_budget"] * _MIB,
        idle=params["priority"] == "idle",
        allowlist=tuple(_allowed(entry, "allowlist: entry %d" % n) for n, entry in enumerate(params["allowlist"], 1)),
        yara_rules=tuple(params["yara_rules"]),
        state_dir=params["state_dir"],
        lock_timeout=params["lock_timeout"],
        max_findings=params["max_findings"],
    )


def apply_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of memory_response, as the module's documentation describes it."""
    return {
        "pid": {"type": "int", "required": True},
        "started": {"type": "int", "required": True},
        "action": {"type": "str", "choices": [CAPTURE, STOP, CONTINUE, KILL], "required": True},
        "dump": {"type": "bool", "default": False},
        "max_dump": {"type": "int", "default": 64},
        "max_captures": {"type": "int", "default": 20},
        "run": {"type": "str"},
        "state_dir": {"type": "path"},
        "lock_timeout": {"type": "int", "default": 60},
    }


def check_apply(params: t.Mapping[str, t.Any]) -> None:
    """Check validated options of memory_response. Raises UsageError."""
    check_options(params, ("state_dir",), {"pid": 1, "started": 0, "max_dump": 1, "max_captures": 1, "lock_timeout": 0})
    if params["dump"] and params["action"] != CAPTURE:
        raise UsageError("dump: only action=%s keeps memory, not action=%s" % (CAPTURE, params["action"]))
    if params["run"] is not None and not _RUN.match(params["run"]):
        raise UsageError("run: %r is not 1 to 64 letters, digits and hyphens" % params["run"])


def _allowed(entry: t.Mapping[str, t.Any], place: str) -> Allowed:
    digest, package, path = (entry.get(name) or None for name in ("sha256", "package", "path"))
    if digest is None and package is None:
        raise UsageError("%s has neither sha256 nor package; a path alone does not identify a program" % place)
    if digest is not None:
        digest = digest.lower()
        if not _SHA256.match(digest):
            raise UsageError("%s: sha256 '%s' is not a digest of 64 hexadecimal digits" % (place, digest))
    if path is not None and not path.startswith("/"):
        raise UsageError("%s: path '%s' is relative; give an absolute path" % (place, path))
    reason = entry["reason"].strip()
    if not reason:
        raise UsageError("%s has no reason; say why it is allowed" % place)
    until = _date(entry["until"])
    if until is None:
        raise UsageError("%s: until '%s' is not a date such as 2027-01-31" % (place, entry["until"]))
    return Allowed(digest, package, path, tuple(entry.get("subtypes") or ()), reason, until)


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if _DATE.match(text) else None
    except ValueError:
        return None
