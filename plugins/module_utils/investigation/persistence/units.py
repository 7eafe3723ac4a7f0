# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read units and drop-ins of systemd (systemd.unit(5)), quadlets, desktop entries and services of D-Bus."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence.model import (
    Source,
    Startup,
    of_commands,
)

_COMMANDS = frozenset(
    (
        b"ExecStart",
        b"ExecStartPre",
        b"ExecStartPost",
        b"ExecReload",
        b"ExecStop",
        b"ExecStopPost",
        b"ExecCondition",
        b"Exec",
    )
)
_TIMERS = re.compile(rb"On[A-Z]\w+\Z")
_FILES = frozenset((b"PathExists", b"PathExistsGlob", b"PathChanged", b"PathModified", b"DirectoryNotEmpty"))
_TARGETS = frozenset((b"Unit", b"WantedBy", b"RequiredBy", b"BindsTo", b"Service", b"SystemdService", b"Image"))
# Variables whose values are files that are loaded into each program; other values may be secrets.
_LOADING = re.compile(rb"(?:LD_PRELOAD|LD_LIBRARY_PATH|LD_AUDIT|PYTHONPATH|PERL5LIB|BASH_ENV|NODE_OPTIONS)=(\S+)")
# systemd.service(5): @, -, :, + and ! in front of the path.
_PREFIX = re.compile(rb"[@\-:+!|]+(?=/)")


def unit(source: Source) -> Startup:
    """Read a unit or drop-in: what it starts, as whom, when, and the libraries that it loads by its environment."""
    commands, accounts = [], []
    details: dict[str, list[str]] = {}
    loaded = []
    for name, value in _settings(source.content):
        if name in _COMMANDS:
            commands.append(_PREFIX.sub(b"", value, count=1))
        elif name == b"User":
            accounts.append(_text(value))
        elif name in (b"Environment", b"PassEnvironment"):
            loaded += [match.group().strip(b"\"'") for match in _LOADING.finditer(value)]
        elif name in (b"EnvironmentFile", b"RootDirectory", b"RootImage"):
            details.setdefault(_text(name), []).append(_text(value))
        elif _TIMERS.match(name):
            details.setdefault("schedules", []).append("%s=%s" % (_text(name), _text(value)))
        elif name in _FILES or name in _TARGETS:
            details.setdefault(_text(name), []).append(_text(value))
    return of_commands([*commands, *loaded], accounts, **details)


def environment(source: Source) -> Startup:
    """Read environment.d(5) and pam_env's files: only what makes each program load a file."""
    return of_commands([match.group() for match in _LOADING.finditer(source.content)])


def _settings(content: bytes) -> t.Iterator[tuple[bytes, bytes]]:
    for line in content.replace(b"\\\n", b" ").splitlines():
        stripped = line.strip()
        if stripped[:1] in (b"#", b";", b"[", b""):
            continue
        name, equals, value = stripped.partition(b"=")
        if equals:
            yield name.strip(), value.strip()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
