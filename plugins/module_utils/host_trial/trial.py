# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change on trial: a process of its own goes the way back unless somebody confirms in time.

``start`` returns when that process is ready; the caller makes the change only then.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import Plan

CONFIRMED, WENT_BACK = RESULTS = ("confirmed", "went back")


class TrialError(HostError):
    """The trial can't be started, confirmed or withdrawn; the message is one sentence."""


class Running(t.NamedTuple):
    """A trial that nobody has decided yet.

    seconds: of the whole trial; left: until the way back begins. who: started it, in words. is_guarded: a process goes
    the way back; where all of them were killed, the change stays until ``withdraw`` or a reboot.
    """

    name: str
    token: str
    seconds: int
    left: float
    who: str
    is_guarded: bool


class Ended(t.NamedTuple):
    """The last trial of a name that ended since the boot.

    result: CONFIRMED or WENT_BACK. why: the rest of the sentence. failed: a sentence for each step that failed.
    """

    name: str
    token: str
    result: str
    why: str
    failed: tuple[str, ...] = ()


def start(plan: Plan) -> str:
    """Start the process that goes the way back, and return the trial's token when it is ready.

    Raises TrialError, also while another trial of this name runs; nothing was changed then.
    """
    raise NotImplementedError


def confirm(name: str, token: str) -> None:
    """Make the change last; return when the steps forward are done.

    Raises TrialError where the way back has begun, or where a step forward failed, so that the host went back.
    """
    raise NotImplementedError


def withdraw(name: str, token: str) -> Ended:
    """Go the way back now, and return when it is done; also where the trial's processes were killed."""
    raise NotImplementedError


def current(name: str) -> Running | None:
    """Return the trial of this name that runs."""
    raise NotImplementedError


def last(name: str) -> Ended | None:
    """Return how the last trial of this name ended."""
    raise NotImplementedError
