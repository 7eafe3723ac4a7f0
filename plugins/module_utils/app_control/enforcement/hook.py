# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that apt and dpkg run on the host before and after they change packages.

usage: hook.pyz apt|dpkg|finish|end STATE_DIR. ``apt`` and ``dpkg`` come before: with another status than 0 nothing is
unpacked. ``end`` is the last step of a maintenance window. All that goes wrong is one sentence on standard error.
"""

from __future__ import annotations

import os
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import state, upgrade
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import LOCK
from ansible_collections.bulwark.servers.plugins.module_utils.packages import planned

_MOST_INPUT = 1 << 26
_LOCK_SECONDS = 120.0


def main(arguments: t.Sequence[str]) -> int:
    """Do what the command line says, and return the status to exit with."""
    step, state_dir = arguments
    try:
        if step == "apt":
            upgrade.begin(planned.of_apt(sys.stdin.buffer.read(_MOST_INPUT)), state_dir)
        elif step == "dpkg":
            plan = _of_dpkg()
            if plan is not None:
                upgrade.begin(plan, state_dir)
        elif step == "end":
            return _end(state_dir)
        else:
            return _finish(state_dir)
    except Exception as error:  # noqa: BLE001 - apt and dpkg show one sentence, whatever fails
        _say("no package was changed: %s" % error)
        return 1
    return 0


def _of_dpkg() -> planned.Plan | None:
    """Return what the dpkg that runs this will do. Raises OSError, PlanError."""
    dpkg = int(os.environ["BULWARK_DPKG"])
    with open("/proc/%d/cmdline" % dpkg, "rb") as stream:
        arguments = stream.read(_MOST_INPUT).split(b"\0")[:-1]
    return planned.of_dpkg(arguments, os.readlink(b"/proc/%d/cwd" % dpkg))


def _finish(state_dir: str) -> int:
    try:
        problem = upgrade.finish(state_dir, _renew)
    except Exception as error:  # noqa: BLE001 - apt and dpkg show one sentence, whatever fails
        _say("what packages brought stays allowed for now: %s" % error)
        return 1
    if problem:
        _say("what packages brought stays allowed for now: %s" % problem)
    return 0


def _end(state_dir: str) -> int:
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import window

    try:
        with state.directory(state_dir, create=False) as where:
            if where is not None:
                with where.locked(LOCK, _LOCK_SECONDS):
                    window.end(where, _renew)
    except Exception as error:  # noqa: BLE001 - apt and dpkg show one sentence, whatever fails
        _say("everything stays allowed after the maintenance window: %s" % error)
        return 1
    return 0


def _renew(where: StateDirectory) -> None:
    # Needs much more of the collection than all the rest.
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import renewal

    renewal.renew(where)


def _say(sentence: str) -> None:
    sys.stderr.write("bulwark.servers: %s.\n" % printable(sentence))
