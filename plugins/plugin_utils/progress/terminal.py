# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write on a terminal that others write to as well: a block of lines that stays below everything else.

While a run lasts, ``sys.stdout`` and ``sys.stderr`` are wrapped. Whatever is written to them, by Ansible itself or
by another plugin, first takes the block off the screen, and has everything but text, line ends and colours escaped:
messages that Ansible passes through (warnings, errors, results) carry text of hosts.

The cursor always rests at the start of the line below the block. A run that is killed leaves a block behind, never
a shell prompt in the middle of it, and nothing about the terminal was changed that would have to be restored.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# Select Graphic Rendition (ECMA-48, 8.3.117): the only escape sequence that Ansible itself writes, for colours.
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")

# The size of a terminal that says it has none, as a new pseudo-terminal does.
_COLUMNS, _ROWS = 80, 24


class Painter(t.Protocol):
    """A function that says what the block shows."""

    def __call__(self, columns: int, rows: int) -> list[str]:
        """Return the lines of the block for a terminal of these columns and rows; none to show no block."""


class Screen:
    """Standard output and error for as long as a run lasts.

    lock: the one that Ansible's own display holds while it writes and while it forks. Using another would deadlock
    with it, or be held for ever in a worker that was forked while this process was writing.
    """

    def __init__(self, lock: t.Any, painter: Painter | None = None) -> None:
        self._lock = lock
        self._painter = painter
        self._process = os.getpid()
        self._drawn = 0
        self._at_line_start = True
        self._held = False
        self._streams: tuple[t.TextIO, t.TextIO] | None = None

    def open(self) -> None:
        """Wrap standard output and error."""
        with self._lock:
            self._streams = (sys.stdout, sys.stderr)
            sys.stdout = t.cast("t.TextIO", _Stream(self, sys.stdout))
            sys.stderr = t.cast("t.TextIO", _Stream(self, sys.stderr))

    def close(self) -> None:
        """Take the block off the screen and give the streams back; without effect the second time, and in a fork."""
        if self._streams is None or os.getpid() != self._process:
            return
        with self._lock:
            self._erase()
            sys.stdout, sys.stderr = self._streams
            self._streams = None

    def hold(self, held: bool) -> None:
        """Show no block while ``held``: somebody is asked for input."""
        with self._lock:
            self._held = held
            if held:
                self._erase()

    def draw(self) -> None:
        """Show the block as it is now."""
        with self._lock:
            if self._streams is None or self._painter is None or self._held or not self._at_line_start:
                return
            terminal = self._streams[0]
            if not _in_foreground(terminal):
                self._drawn = 0
                return
            size = os.get_terminal_size(terminal.fileno())
            lines = self._painter(size.columns or _COLUMNS, size.lines or _ROWS)
            terminal.write(self._erasing() + "".join(f"{line}\n" for line in lines))
            terminal.flush()
            self._drawn = len(lines)

    def _erase(self) -> None:
        if self._drawn and self._streams is not None:
            self._streams[0].write(self._erasing())
            self._streams[0].flush()
            self._drawn = 0

    def write(self, stream: t.TextIO, text: str) -> int:
        """Write what somebody else wrote to one of the streams."""
        if os.getpid() != self._process:
            return stream.write(text)
        with self._lock:
            self._erase()
            stream.write(escaped(text))
            if stream.isatty():
                self._at_line_start = text.endswith("\n") if text else self._at_line_start
            return len(text)

    def _erasing(self) -> str:
        # To the start of the block's first line, wherever an echoed ^C has left the cursor, and erase from there to the
        # end of the screen (ECMA-48, CPL and ED).
        return f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""


class _Stream:
    """A text stream that writes through the screen and is the wrapped stream in everything else."""

    def __init__(self, screen: Screen, stream: t.TextIO) -> None:
        self._screen = screen
        self._stream = stream

    def write(self, text: str) -> int:
        return self._screen.write(self._stream, text)

    def writelines(self, lines: t.Iterable[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._stream, name)


class Ticker:
    """Call a function every so many seconds from a thread of its own, until stopped or until nobody reads any more."""

    def __init__(self, interval: float, call: t.Callable[[], None]) -> None:
        self._interval = interval
        self._call = call
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bulwark-progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when the function will not be called again."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self._call()
            except OSError:  # a closed pipe or terminal; whoever writes next in the main thread deals with it
                return


def is_terminal(stream: t.TextIO, environment: t.Mapping[str, str]) -> bool:
    """Return whether a block can be moved about on ``stream``."""
    if environment.get("TERM", "") in ("", "dumb") or under_runner(environment):
        return False
    return stream.isatty()


def under_runner(environment: t.Mapping[str, str]) -> bool:
    """Return whether ansible-runner, and so maybe AWX, runs this.

    It reads what Ansible writes on a terminal of its own, with escape sequences that tell it where an event begins and
    ends, and turns that into a log, where nothing moves.
    """
    return "AWX_ISOLATED_DATA_DIR" in environment


def escaped(text: str) -> str:
    """Return text in which colours are all that a terminal obeys."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and "\x1b" not in text and text.replace("\n", "").isprintable():
        return text
    return "".join(
        part if position % 2 else visible(part, len(part), multiline=True)
        for position, part in enumerate(_COLOUR.split(text))
    )


def _in_foreground(terminal: t.TextIO) -> bool:
    try:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:  # a terminal, but not this process's controlling one: there is no job control on it
        return True
