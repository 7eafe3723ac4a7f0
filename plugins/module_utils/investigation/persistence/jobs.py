# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read jobs that start at a time: crontab(5), anacrontab(5) and at(1)."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence.model import (
    Source,
    Startup,
    of_commands,
)

_VARIABLE = re.compile(rb"\s*[\"']?[A-Za-z_]\w*[\"']?\s*=")
# Five fields, or one word such as @reboot. busybox, cronie and vixie cron agree in this.
_TIMES = re.compile(rb"\s*(@\w+|(?:[^\s]+\s+){4}[^\s]+)\s+(.*)")
_ANACRON = re.compile(rb"\s*(@\w+|\d+)\s+\d+\s+\S+\s+(.*)")
_AT_HEADER = re.compile(rb"^# atrun uid=(\d+) gid=\d+", re.MULTILINE)
_AT_COMMANDS = re.compile(rb"\n\}\n(.*)\Z", re.DOTALL)


def system_table(source: Source) -> Startup:
    """Read /etc/crontab and the files of /etc/cron.d, which name an account on each line."""
    commands, accounts, schedules = [], [], []
    for line in _lines(source.content):
        match = _TIMES.match(line)
        if match is None:
            continue
        account, *command = match.group(2).split(None, 1)
        commands.append(command[0] if command else b"")
        accounts.append(account.decode("utf-8", "replace"))
        schedules.append(match.group(1).decode("utf-8", "replace"))
    return of_commands(commands, accounts, schedules=_distinct(schedules))


def account_table(source: Source) -> Startup:
    """Read the table of one account, whose name is the file's."""
    matches = [match for match in map(_TIMES.match, _lines(source.content)) if match]
    name = os.path.basename(source.path).decode("utf-8", "replace")
    schedules = [match.group(1).decode("utf-8", "replace") for match in matches]
    return of_commands([match.group(2) for match in matches], [name], schedules=_distinct(schedules))


def anacron_table(source: Source) -> Startup:
    """Read anacrontab(5): period, delay, name and command."""
    matches = [match for match in map(_ANACRON.match, _lines(source.content)) if match]
    return of_commands([match.group(2) for match in matches], ["root"])


def at_job(source: Source) -> Startup:
    """Read a job of at(1): a script that sets the environment, whose values may be secrets, before the commands."""
    header = _AT_HEADER.search(source.content)
    commands = _AT_COMMANDS.search(source.content)
    accounts = [header.group(1).decode("ascii")] if header else []
    return of_commands(commands.group(1).splitlines() if commands else [], accounts)


def _lines(content: bytes) -> t.Iterator[bytes]:
    for line in content.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#") and not _VARIABLE.match(line):
            yield stripped


def _distinct(texts: t.Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))[:20]
