# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the programs of a simulation and send its records."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.simulation import records
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.plan import Sent, Started
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import RECORD_TYPES

_SECONDS = 20
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class FailedError(Exception):
    """A step could not be done; the message says which and why."""


def perform(step: Started | Sent) -> int | None:
    """Do one step; return the process id of the program that ran. Raises FailedError."""
    if isinstance(step, Sent):
        try:
            records.send(RECORD_TYPES[step.type], step.text)
        except OSError as error:
            raise FailedError("a record of type %s could not be sent: %s" % (step.type, error.strerror)) from error
        return None
    return _start(step)


def _start(step: Started) -> int:
    try:
        process = subprocess.Popen(
            step.arguments,
            executable=step.path,
            cwd=step.directory,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **_as(step.user),
        )
    except OSError as error:
        raise FailedError("%s could not be started: %s" % (step.path, error.strerror)) from error
    try:
        process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        # The group is this program's own, with all that it started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise FailedError("%s did not end within %d s" % (step.path, _SECONDS)) from None
    return process.pid


def _as(user: str | None) -> dict[str, t.Any]:
    """Return what lets a program run as an account."""
    if user is None:
        return {}
    if sys.version_info < (3, 9):
        raise FailedError("a program can only be started as %s with Python 3.9 and newer" % user)
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
