# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe an error that nothing expected. Its text may hold what an intruder wrote, so it is cut and escaped."""

from __future__ import annotations

import types
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

_MESSAGE_LIMIT = 500
_LINE_LIMIT = 300
# A traceback begins where the module does and ends where it crashed; both ends are shown.
_LINES = 120

# The name of the collection, however its code came to the host.
_COLLECTION = __name__.rpartition("plugins.module_utils.")[0]


class ChildError(Exception):
    """A crash of another process of the module. The text is its summary; lines: its traceback."""

    def __init__(self, summary: str, lines: t.Sequence[str]) -> None:
        super().__init__(summary)
        self.lines = list(lines)


def describe(error: BaseException) -> str:
    """Return a message: the summary of the error, and what to do."""
    if isinstance(error, MemoryError):
        place = _place(error)
        where = " (%s)" % place if place else ""
        return "the module ran out of memory%s: give the host more memory or the module less to do" % where
    return "the module crashed: %s; if this comes again, report it with the traceback that -vvv shows" % summarize(
        error
    )


def summarize(error: BaseException) -> str:
    """Return the type of an error, its text, and the file and line of the collection that it comes from."""
    if isinstance(error, ChildError):
        return str(error)
    place = _place(error)
    return "%s (%s)" % (_error(error), place) if place else _error(error)


def format_traceback(error: BaseException) -> list[str]:
    """Return the lines of the traceback, with those of the errors that led to this one; at most ``_LINES``."""
    if isinstance(error, ChildError):
        return error.lines
    import traceback  # nothing needs it unless something crashes

    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:  # noqa: BLE001 (the error's own code writes its text)
        text = "".join(traceback.format_tb(error.__traceback__)) + _error(error)
    lines = [_shorten(line, _LINE_LIMIT) for line in text.splitlines()]
    if len(lines) <= _LINES:
        return lines
    half = _LINES // 2
    return [*lines[:half], "... %d lines left out ..." % (len(lines) - 2 * half), *lines[-half:]]


def _error(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (the error's own code)
        text = ""
    return _shorten("%s: %s" % (name, text) if text else name, _MESSAGE_LIMIT)


def _place(error: BaseException) -> str | None:
    """Return file and line of the last call in this collection, None where there is none."""
    place = None
    call = error.__traceback__
    while call is not None:
        name = _file(call.tb_frame)
        if name is not None:
            place = "%s:%d" % (name, call.tb_lineno)
        call = call.tb_next
    return place


def _file(frame: types.FrameType) -> str | None:
    """Return the collection's file of a frame, None for other code. An archive has any path, a module its name."""
    name = str(frame.f_globals.get("__name__"))
    return name[len(_COLLECTION) :].replace(".", "/") + ".py" if name.startswith(_COLLECTION) else None


def _shorten(text: str, limit: int) -> str:
    return printable(text if len(text) <= limit else text[:limit] + "...")
