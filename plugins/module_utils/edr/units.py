# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd on the disk: whether they are there, and whether somebody masked them (systemd.unit(5))."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import Unit

# From the most to the least important.
_DIRECTORIES = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
# A unit that is enabled has a link below one of these, in a directory like multi-user.target.wants.
_ENABLED = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_WANTS = (".wants", ".requires")
_NOTHING = "/dev/null"


def look(names: t.Iterable[str], root: str = "") -> list[Unit]:
    """Return those of the units that have a file or are masked, in the order of their names."""
    enabled = _enabled(root)
    units = (_unit(name, root, name in enabled) for name in names)
    return [unit for unit in units if unit.installed or unit.masked]


def _enabled(root: str) -> set[str]:
    """Return the names of the units that others want. An instance of a template has its own name."""
    names: set[str] = set()
    for directory in _ENABLED:
        with contextlib.suppress(OSError), os.scandir(root + directory) as entries:
            wants = [entry.path for entry in entries if entry.name.endswith(_WANTS)]
            for path in wants:
                with contextlib.suppress(OSError):
                    names.update(os.listdir(path))
    return names


def _unit(name: str, root: str, enabled: bool) -> Unit:
    masked, since, decided, installed = False, None, False, False
    for directory in _DIRECTORIES:
        path = "%s%s/%s" % (root, directory, name)
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            nothing = _is_nothing(path, status)
            if not decided:
                masked, since, decided = nothing, status.st_mtime if nothing else None, True
            installed = installed or not nothing
    return Unit(name, installed, masked, since, enabled)


def _is_nothing(path: str, status: os.stat_result) -> bool:
    """Return whether a unit is masked: a link to /dev/null, or an empty file."""
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path) == _NOTHING
    return stat.S_ISREG(status.st_mode) and not status.st_size
