# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the unit of the watcher and its program on this host, or remove them."""

from __future__ import annotations

import hashlib
import os

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import watcher
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import daemon
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.daemon import Installed
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd.trust import Trusted

PROGRAM = "watcher.py"
_UNIT = "/etc/systemd/system/" + watcher.UNIT
_INTERPRETER = "/usr/bin/python3"


def own(is_wanted: bool, directory: str) -> tuple[Trusted, ...]:
    """Return the watcher's program as a policy trusts it. directory: of the state."""
    if not is_wanted:
        return ()
    data = watcher.program()
    path = os.path.join(os.path.realpath(directory), PROGRAM)
    return (Trusted(path, len(data), hashlib.sha256(data).hexdigest()),)


def differs(where: StateDirectory, installed: Installed, is_wanted: bool) -> bool:
    """Say whether the watcher is not as it should be. Raises DaemonError."""
    if not is_wanted:
        return os.path.lexists(_UNIT)
    return not _is_written(where, installed) or not daemon.is_active(watcher.UNIT)


def deploy(where: StateDirectory, installed: Installed, is_wanted: bool) -> None:
    """Have the watcher run, or not. Raises DaemonError, OSError and StateError."""
    if not differs(where, installed, is_wanted):
        return
    if not is_wanted:
        remove(where)
        return
    with where.written(PROGRAM) as program:
        program.write(watcher.program())
    with open(_UNIT, "w", encoding="utf-8") as unit:
        unit.write(_unit_text(where, installed))
    daemon.reload_units()
    daemon.enable(watcher.UNIT)
    daemon.restart(watcher.UNIT)


def remove(where: StateDirectory | None) -> bool:
    """Stop it and remove its files; return whether it was there. Raises DaemonError, OSError and StateError."""
    was_there = os.path.lexists(_UNIT)
    if was_there:
        daemon.stop(watcher.UNIT)
        daemon.disable(watcher.UNIT)
        os.unlink(_UNIT)
        daemon.reload_units()
    if where is not None:
        was_there = where.remove(PROGRAM) or was_there
    return was_there


def _is_written(where: StateDirectory, installed: Installed) -> bool:
    try:
        with open(_UNIT, encoding="utf-8") as unit, open(os.path.join(where.path, PROGRAM), "rb") as program:
            return unit.read() == _unit_text(where, installed) and program.read() == watcher.program()
    except OSError:
        return False


def _unit_text(where: StateDirectory, installed: Installed) -> str:
    return watcher.unit_text(os.path.join(where.path, PROGRAM), installed.executable, _INTERPRETER)
