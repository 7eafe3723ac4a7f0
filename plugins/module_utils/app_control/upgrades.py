# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a package upgrade from somebody who exchanged a file, by what the look before saw.

A program can be upgraded, or removed with its package, between its execution and the look. The look then sees a file
that was written after it ran, or none. It is an upgrade if the package has another version than before; the program is
judged as it was before. If the version is the same, somebody wrote the file: a reinstallation, or an intruder who put
the original back. That stays a finding of low severity.

Of a program that no look saw before, only dpkg's and rpm's own times say whether its package was unpacked after it ran.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    CHANGED,
    GONE,
    MODIFIED,
    PRESENT,
    UNKNOWN,
    VERIFIED,
    Program,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import PackageDatabases

_INFO = b"var/lib/dpkg/info"
_LIST = ".list"
# Times of files are that much earlier than those of records at most.
_TICK = 1.0


def is_doubted(record: Record) -> bool:
    """Say whether a program's content changed while the version of its package did not; note what it was before.

    Whoever edits the digests of a package makes any content verified. The doubt ends when the content is what it was,
    or with another version. A look that could not read what ran remembers what was there before it.
    """
    program, before = record.program, record.before
    if record.genuine is None and before is not None and before.verification != MODIFIED:
        record.genuine = before if _is_exchanged(before, program) else None
    if record.genuine is None or not program.sha256:
        return False
    if not _is_exchanged(record.genuine, program):
        record.genuine = None
    return record.genuine is not None


def _is_exchanged(before: Program, now: Program) -> bool:
    """Say whether a content is known, and now there is another one, or an unknown one, of the same version."""
    of_package = before.manager, before.package, before.version
    is_same_version = bool(before.package) and of_package == (now.manager, now.package, now.version)
    return is_same_version and bool(before.sha256) and before.sha256 != now.sha256


def _upgraded(before: Program, program: Program) -> Program:
    """Return the program to judge if its package has another version now, or is gone."""
    if program.sha256:
        return (before if program.sha256 == before.sha256 else program)._replace(content=PRESENT)
    # What ran was neither the file of the look before, nor is it there: of a version in between, or an intruder's.
    is_unknown = program.package == before.package and program.verification != MODIFIED
    return program._replace(verification=VERIFIED) if is_unknown else program


class Upgrades:
    """When packages were unpacked, of one root."""

    def __init__(self, databases: PackageDatabases) -> None:
        self._databases = databases
        self._rpms: dict[str, float] | None = None
        self._lists: dict[str, float] | None = None

    def settled(self, record: Record) -> Program:
        """Return the program to judge: as it was before, if an upgrade explains that it is gone or was written."""
        program, before = record.program, record.before
        if program.content not in (CHANGED, GONE) or program.image:
            return program
        if before is not None and before.package:
            if not self._is_installed(before):
                return _upgraded(before, program)
            if program.content == CHANGED or program.sha256 != before.sha256:
                return program
        return self._settled_by_time(record)

    def _settled_by_time(self, record: Record) -> Program:
        """Return the program to judge if no look saw it as it was before its package was unpacked."""
        program = record.program
        unpacked = self._unpacked(program) if program.package else None
        if unpacked is None:
            return program
        if program.content == CHANGED:
            is_since = unpacked >= record.last - _TICK and program.verification in (UNKNOWN, VERIFIED)
            return program._replace(content=PRESENT, verification=VERIFIED) if is_since else program
        if program.verification == MODIFIED and unpacked >= record.first - _TICK:
            # It still runs: the file of a former version, or one of an intruder who put the original back.
            return program._replace(verification=VERIFIED)
        return program

    def _is_installed(self, program: Program) -> bool:
        """Say whether the package of a program is installed in the version that it had."""
        installed = self._databases.installed(program.package)
        return any((each.manager, each.version) == (program.manager, program.version) for each in installed)

    def _unpacked(self, program: Program) -> float | None:
        """Return when the package of a program was unpacked, None where it is not installed."""
        if program.manager == "rpm":
            if self._rpms is None:
                self._rpms = dict(self._rpm_times())
            return self._rpms.get(program.package)
        if self._lists is None:
            self._lists = dict(sorted(self._list_times(), key=lambda each: each[1]))
        return self._lists.get(program.package)

    def _list_times(self) -> t.Iterator[tuple[str, float]]:
        """Yield when dpkg unpacked packages, one of several architectures more than once."""
        with contextlib.suppress(OSError), os.scandir(
            os.fsdecode(os.path.join(self._databases.root, _INFO))
        ) as entries:
            for entry in entries:
                if entry.name.endswith(_LIST):
                    name = entry.name[: -len(_LIST)].partition(":")[0]
                    yield name, entry.stat(follow_symlinks=False).st_ctime

    def _rpm_times(self) -> t.Iterator[tuple[str, float]]:
        for timestamp, package in self._databases.rpm_times():
            yield package.package, timestamp
