# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommend noexec for the directories that every account can write to."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record

SCOPE = "mounts"
_SUBJECT = "temporary directories"
_DIRECTORIES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - looked up among mounts, nothing is written there
# Services have the mounts of the first process; a look may have others.
_TABLES = ("/proc/1/mountinfo", "/proc/self/mountinfo")
_NOEXEC = b"noexec"
_SHOWN = 10


def recommendations(
    records: t.Collection[Record], table: bytes, directories: t.Sequence[str] = _DIRECTORIES
) -> list[dict[str, t.Any]]:
    """Return one detection for all directories without noexec. table: of mounts, as proc_pid_mountinfo(5) has them.

    records: of programs, some of which may have run from there.
    """
    evidences = [
        _evidence(directory, sorted(options), records)
        for directory, options in ((each, _options(table, each)) for each in directories)
        if options and _NOEXEC not in options
    ]
    if not evidences:
        return []
    names = [evidence["directory"] for evidence in evidences]
    known = "No program or library is known that ran from there."
    stopped = sum(evidence["programs_count"] for evidence in evidences)
    if stopped:
        known = "Known programs and libraries that ran from there, and would not any more: %d." % stopped
    message = "Without noexec: %s. %s" % (", ".join(names), known)
    return [
        detection(
            "app_mount_without_noexec", _SUBJECT, SCOPE, [{"data": evidence} for evidence in evidences], message=message
        )
    ]


def read_table(coverage: ScopeCoverage) -> bytes:
    """Return the mounts that services have, nothing where that can't be read."""
    table = next((text for text in map(_read, _TABLES) if text), b"")
    if not table:
        coverage.fail("the mounts can't be read: %s is empty or unreadable" % _TABLES[-1])
    return table


def _read(path: str) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return stream.read()
    return b""


def _options(table: bytes, directory: str) -> t.Collection[bytes]:
    """Return the mount options of a directory, nothing if it is none."""
    if not os.path.isdir(directory) or os.path.islink(directory):
        return ()
    return _mountinfo.options_at(table, os.fsencode(directory))


def _evidence(directory: str, options: t.Sequence[bytes], records: t.Iterable[Record]) -> dict[str, t.Any]:
    stopped = sorted(
        each.program.path
        for each in records
        if each.program.path.startswith(directory + "/") and not each.program.image and each.program.kind != "script"
    )
    return {
        "directory": directory,
        "options": [option.decode("ascii", "replace") for option in options],
        "programs": stopped[:_SHOWN],
        "programs_count": len(stopped),
    }
