# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the end of a look that has no result, so that whoever reads it knows where to look."""

from __future__ import annotations

import re
import signal
import traceback
import typing as t

# The paths of the collection's code, as the archive has them.
_OURS = "plugins/module_utils/"
_WRITTEN = re.compile(r'File "%s(\S+)", line (\d+)' % _OURS)
_LONGEST = 2000
_MOST_FRAMES = 30


def raised(error: BaseException, memory: int) -> dict[str, t.Any]:
    """Return a failed result with an exception's type, message and place. memory: the limit in bytes."""
    place = _place(error)
    shown = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-_MOST_FRAMES))
    if isinstance(error, MemoryError):
        message = "it needs more than its limit of %d MiB of memory (%s)" % (memory >> 20, place)
    else:
        text = " ".join(str(error).split())[:_LONGEST]
        message = "an error in the collection: %s: %s (%s); report it" % (type(error).__name__, text, place)
    return failed(message, shown)


def failed(message: str, details: str = "") -> dict[str, t.Any]:
    """Return a failed result. details: what helps developers, the end of it where it is long."""
    result: dict[str, t.Any] = {"failed": True, "msg": message}
    if details:
        result["exception"] = details[-2 * _LONGEST :]
    return result


def stopped(reason: str, output: str) -> dict[str, t.Any]:
    """Return a failed result of a process that was ended. output: what faulthandler wrote in it."""
    place = _written_place(output)
    return failed("%s; it was at %s" % (reason, place) if place else reason, output)


def ended(status: int, output: str) -> dict[str, t.Any]:
    """Return a failed result of a process without a result. status: its exit status, or minus a signal."""
    if status >= 0:
        return failed("it ended with status %d and without a result" % status, output)
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = "unknown"
    place = _written_place(output)
    hint = "; the kernel may have run out of memory" if -status == signal.SIGKILL else ""
    return failed("it was ended by signal %d (%s)%s%s" % (-status, name, " at " + place if place else "", hint), output)


def _written_place(output: str) -> str:
    """Return the place in the collection's code that faulthandler wrote first, which is the innermost."""
    found = _WRITTEN.search(output)
    return "%s:%s" % found.groups() if found else ""


def _place(error: BaseException) -> str:
    """Return the innermost place in the collection's code, that of the error itself if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _OURS in frame.filename.replace("\\", "/")]
    if not (ours or frames):
        return "unknown place"
    frame = (ours or frames)[-1]
    return "%s:%s" % (frame.filename.rpartition(_OURS)[2], frame.lineno)
