# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the end of a look that has no result, so that whoever reads it knows where to look."""

from __future__ import annotations

import re
import signal
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _crash

# The paths of the collection's code, as the archive has them.
_OURS = "plugins/module_utils/"
_WRITTEN = re.compile(r'File "%s(\S+)", line (\d+)' % _OURS)
_MOST_LINES = 120


def raised(error: BaseException, memory: int) -> dict[str, t.Any]:
    """Return a failed result with an exception's type, message and place. memory: the limit in bytes."""
    lines = _crash.format_traceback(error)
    if isinstance(error, MemoryError):
        return failed(
            "it needs more than its limit of %d MiB of memory: %s" % (memory >> 20, _crash.summarize(error)), lines
        )
    return failed(_crash.describe(error), lines)


def failed(message: str, lines: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """Return a failed result. lines: a traceback, the end of it where it is long."""
    return {"failed": True, "msg": message, **({"traceback": list(lines)[-_MOST_LINES:]} if lines else {})}


def stopped(reason: str, output: str) -> dict[str, t.Any]:
    """Return a failed result of a process that was ended. output: what faulthandler wrote in it."""
    place = _written_place(output)
    return failed("%s; it was at %s" % (reason, place) if place else reason, output.splitlines())


def ended(status: int, output: str) -> dict[str, t.Any]:
    """Return a failed result of a process without a result. status: its exit status, or minus a signal."""
    if status >= 0:
        return failed("it ended with status %d and without a result" % status, output.splitlines())
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    place = _written_place(output)
    hint = "; the kernel may have run out of memory" if -status == signal.SIGKILL else ""
    return failed(
        "it was ended by signal %d (%s)%s%s" % (-status, name, " at " + place if place else "", hint),
        output.splitlines(),
    )


def _written_place(output: str) -> str:
    """Return the place in the collection's code that faulthandler wrote first, which is the innermost."""
    found = _WRITTEN.search(output)
    return "%s:%s" % found.groups() if found else ""
