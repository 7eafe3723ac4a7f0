# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of some packages, asked for by name: no list of all packages is needed."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.packages import apk, dpkg, dpkg_files, rpm, rpm_query
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import rpm_runner
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import read_state

_RPM_SECONDS = 10.0


def versions(names: t.Collection[str], root: bytes = b"/") -> tuple[dict[str, str], list[str]]:
    """Return the versions of the installed packages by name, and a sentence for each database that can't be read."""
    installed: dict[str, str] = {}
    problems = []
    managers = (
        ("dpkg", dpkg.present(root), _dpkg),
        ("rpm", rpm.directory(root) is not None, _rpm),
        ("apk", apk.path(root) is not None, _apk),
    )
    for manager, is_there, read in managers:
        if is_there:
            try:
                installed.update(read(names, root))
            except (OSError, ValueError) as error:
                problems.append("the %s database can't be read: %s" % (manager, error))
    return installed, problems


def _dpkg(names: t.Collection[str], root: bytes) -> dict[str, str]:
    stanzas = dpkg_files.parse_status(read_state(os.path.join(root, dpkg.DIRECTORY, b"status"))).values()
    return {stanza.name: stanza.version for stanza in stanzas if stanza.name in names and stanza.complete}


def _rpm(names: t.Collection[str], root: bytes) -> dict[str, str]:
    run = rpm_runner(root, t.cast("bytes", rpm.directory(root)), _RPM_SECONDS)
    # A package that is not installed ends rpm with a status that is no failure; its sentence has no version.
    output, _problem = run(["-q", "--queryformat", rpm_query.PACKAGES_FORMAT, "--", *sorted(names)])
    lines = [line + b"\n" for line in output.split(b"\n") if line[:1].isdigit()]
    return {row.name: row.version for row in rpm_query.parse_packages(b"".join(lines))}


def _apk(names: t.Collection[str], root: bytes) -> dict[str, str]:
    return {package.name: package.version for package in apk.parse(apk.read(root)) if package.name in names}
