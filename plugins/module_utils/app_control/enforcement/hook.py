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
    run, consequence = _STEPS[step]
    try:
        problem = run(state_dir)
    except Exception as error:  # noqa: BLE001 - apt and dpkg show one sentence, whatever fails
        _say("%s: %s" % (consequence, error))
        return 1
    if problem:
        _say("%s: %s" % (consequence, problem))
    return 0


def _begin_apt(state_dir: str) -> str:
    upgrade.begin(planned.of_apt(sys.stdin.buffer.read(_MOST_INPUT)), state_dir)
    return ""


def _begin_dpkg(state_dir: str) -> str:
    plan = _of_dpkg()
    if plan is not None:
        upgrade.begin(plan, state_dir)
    return ""


def _of_dpkg() -> planned.Plan | None:
    """Return what the dpkg that runs this will do. Raises OSError, PlanError."""
    dpkg = int(os.environ["BULWARK_DPKG"])
    with open("/proc/%d/cmdline" % dpkg, "rb") as stream:
        arguments = stream.read(_MOST_INPUT).split(b"\0")[:-1]
    return planned.of_dpkg(arguments, os.readlink(b"/proc/%d/cwd" % dpkg))


def _finish(state_dir: str) -> str:
    return upgrade.finish(state_dir, _renew)


def _end(state_dir: str) -> str:
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import window

    with state.directory(state_dir, create=False) as where:
        if where is not None:
            with where.locked(LOCK, _LOCK_SECONDS):
                window.end(where, _renew)
    return ""


def _renew(where: StateDirectory) -> None:
    # Needs much more of the collection than all the rest.
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import renewal

    renewal.renew(where)


def _say(sentence: str) -> None:
    sys.stderr.write("bulwark.servers: %s.\n" % printable(sentence))


_UNCHANGED = "no package was changed"
# What each step does, which returns why it is not complete, and what follows if it is not.
_STEPS: t.Mapping[str, tuple[t.Callable[[str], str], str]] = {
    "apt": (_begin_apt, _UNCHANGED),
    "dpkg": (_begin_dpkg, _UNCHANGED),
    "finish": (_finish, "what packages brought stays allowed for now"),
    "end": (_end, "everything stays allowed after the maintenance window"),
}
