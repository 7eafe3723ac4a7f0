# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether sshd is configured to log sign-ins at all (sshd_config(5)): a log that is alive does not show that."""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

FILE = "/etc/ssh/sshd_config"
# sshd logs a sign-in with the level info.
_SILENT = frozenset(("quiet", "fatal", "error"))
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*\Z")
# As sshd has it.
_MOST_DEPTH = 16
_MOST_FILES = 100
_MOST_BYTES = 1024 * 1024
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class _Level(t.NamedTuple):
    """What a file says of LogLevel. is_general: whether it is for every connection."""

    path: str
    value: str
    is_general: bool


def silence(path: str = FILE) -> tuple[str, str] | None:
    """Return the file and the sentence with which sshd is told not to log sign-ins, None where it logs them."""
    has_value = False
    for level in _levels(path, 0, [0]):
        # The first value counts; a Match block comes before it for those that it is for.
        if level.value.lower() in _SILENT and not (level.is_general and has_value):
            whom = "" if level.is_general else " for some connections"
            return (
                printable(level.path),
                "LogLevel is %s%s, so that sshd logs no sign-ins: set it to INFO or VERBOSE" % (level.value, whom),
            )
        has_value = has_value or level.is_general
    return None


def _levels(path: str, depth: int, count: list[int]) -> t.Iterator[_Level]:
    count[0] += 1
    if depth > _MOST_DEPTH or count[0] > _MOST_FILES:
        return
    try:
        descriptor = os.open(path, _OPEN)
        with os.fdopen(descriptor, "rb") as stream:
            text = stream.read(_MOST_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return
    is_general = True
    for line in text.splitlines():
        matched = _LINE.match(line)
        if matched is None:
            continue
        keyword, value = matched.group(1).lower(), matched.group(2).partition(" #")[0].strip().strip('"')
        if keyword == "match":
            is_general = value.lower() == "all"
        elif keyword == "loglevel":
            yield _Level(path, printable(value), is_general)
        elif keyword == "include":
            for pattern in value.split():
                for name in sorted(glob.glob(os.path.join(os.path.dirname(FILE), pattern.strip('"')))):
                    for level in _levels(name, depth + 1, count):
                        yield level._replace(is_general=level.is_general and is_general)
