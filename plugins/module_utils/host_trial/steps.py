# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of a way back: prepared before a change, and done by a process that opens and executes nothing until then.

Signals, mounts and names need no file to be opened, so that they work while a daemon that decides about each open and
each execution hangs (fanotify(7), FAN_OPEN_PERM). ``Run`` executes a file: it stands after what frees the host.
"""

from __future__ import annotations

import re
import typing as t

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")


class Kill(t.NamedTuple):
    """SIGKILL every process that runs one of these files, again and again until the other steps are done.

    executables: absolute paths. The files are identified by device and inode when the trial starts.
    """

    executables: tuple[str, ...]


class Unmount(t.NamedTuple):
    """Take what was mounted on a path during the trial off it, also while it is in use (umount2(2), MNT_DETACH).

    A path that leads to the same file or directory as before has nothing mounted on it.
    """

    path: str


class Exchange(t.NamedTuple):
    """Exchange two names at once (renameat2(2), RENAME_EXCHANGE).

    On the way back, this undoes an exchange that was made during the trial; the way forward makes it once. The file
    that the first name led to when the trial started tells whether it was made.
    """

    first: str
    second: str


class Remove(t.NamedTuple):
    """Remove a file, if it is there."""

    path: str


class Run(t.NamedTuple):
    """Run a command without input, and kill it after so many seconds. Its failure stops no later step.

    is_start: it starts a program that ``Kill`` names, so that the killing ends before it. unmoved: paths that must lead
    to the same file or directory as when the trial started, or else it is left out.
    """

    command: tuple[str, ...]
    seconds: float
    is_start: bool = False
    unmoved: tuple[str, ...] = ()


Step = t.Union[Kill, Unmount, Exchange, Remove, Run]


class Plan(t.NamedTuple):
    """A change on trial.

    name: of the kind of change, such as "fapolicyd"; one trial of a name runs at a time. seconds: after which the way
    back begins unless somebody confirms. back: the steps of the way back, in their order. forward: the steps that make
    the change last, done when it is confirmed. They are renames that a crash in between leaves in order.
    """

    name: str
    seconds: int
    back: tuple[Step, ...]
    forward: tuple[Step, ...] = ()


def find_problem(plan: Plan) -> str | None:
    """Return why a plan is none, as a sentence."""
    if not _NAME.match(plan.name):
        return "%r is not a name of a trial" % plan.name
    if plan.seconds < 1:
        return "it would last %d seconds" % plan.seconds
    for path in (path for step in (*plan.back, *plan.forward) for path in _paths(step)):
        if not path.startswith("/"):
            return "%s is not an absolute path" % path
    return None


def _paths(step: Step) -> tuple[str, ...]:
    if isinstance(step, Kill):
        return step.executables
    if isinstance(step, Run):
        return step.unmoved
    return step if isinstance(step, Exchange) else (step.path,)
