# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a product's own command as root, only if nobody else can have changed it, and its package shipped it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.edr import command_trust, installed

_SECONDS = 20.0
_MOST_OUTPUT = 32 * 1024 * 1024


class UntrustedError(Exception):
    """The command is not run; the message says why."""


def output(argv: t.Sequence[str], packages: t.Collection[str]) -> str | None:
    """Return the output of a command, None if it does not exist and no package should have it.

    packages: if one of them is installed, the command is of one. Raises UntrustedError and CommandError.
    """
    versions, problems = installed.versions(packages) if packages else ({}, [])
    program = command_trust.verify([argv[0]], lambda _path: bool(versions)).get(argv[0])
    if program is None:
        if versions:
            raise UntrustedError("%s is not there, but its package is installed; reinstall the package" % argv[0])
        return None
    if problems:
        raise UntrustedError("%s was not run, as it is not known which package has it: %s" % (argv[0], problems[0]))
    if program.problem:
        raise UntrustedError("%s was not run, as %s" % (argv[0], program.problem))
    done = _command.run(argv, _SECONDS, _MOST_OUTPUT)
    if done.returncode:
        raise _command.CommandError("%s ended with status %d" % (argv[0], done.returncode))
    return done.stdout.decode("utf-8", "replace")
