# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import threading
import typing as t
import unicodedata

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.terminal import (
    Painter,
    Screen,
    Ticker,
    escaped,
    is_terminal,
)
from hypothesis import given
from hypothesis import strategies as st

COLOUR = "\x1b[0;31m"
_BIDI_CONTROLS = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


class Terminal(io.StringIO):
    """Standard output on a terminal whose size and foreground process group nobody can tell."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor


@pytest.fixture
def terminal() -> t.Iterator[Terminal]:
    controller, terminal = os.openpty()
    yield Terminal(terminal)
    os.close(controller)
    os.close(terminal)


@contextlib.contextmanager
def shown_on(stream: t.TextIO, painter: Painter | None = None) -> t.Iterator[Screen]:
    """Open a screen on a stream that takes the place of standard output and error."""
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        screen = Screen(threading.RLock(), painter)
        screen.open()
        yield screen
        screen.close()


def painted(columns: int, rows: int) -> list[str]:
    return [f"{columns}x{rows}", "block"]


def test_a_block_replaces_the_one_before_and_takes_80x24_where_there_is_no_size(terminal: Terminal) -> None:
    with shown_on(terminal, painted) as screen:
        screen.draw()
        screen.draw()
        assert terminal.getvalue() == "80x24\nblock\n\x1b[2F\x1b[J80x24\nblock\n"


def test_what_others_write_comes_above_the_block(terminal: Terminal) -> None:
    with shown_on(terminal, painted) as screen:
        screen.draw()
        sys.stdout.write("ok: [web1]\n")
        screen.draw()
        assert terminal.getvalue() == "80x24\nblock\n\x1b[2F\x1b[Jok: [web1]\n80x24\nblock\n"


def test_an_unfinished_line_is_a_question_and_keeps_the_block_away(terminal: Terminal) -> None:
    with shown_on(terminal, painted) as screen:
        sys.stdout.write("Password: ")
        screen.draw()
        assert terminal.getvalue() == "Password: "
        sys.stderr.write("\n")
        screen.draw()
        assert terminal.getvalue() == "Password: \n80x24\nblock\n"


def test_no_block_while_somebody_is_asked(terminal: Terminal) -> None:
    with shown_on(terminal, painted) as screen:
        screen.draw()
        screen.hold(True)
        screen.draw()
        assert terminal.getvalue() == "80x24\nblock\n\x1b[2F\x1b[J"
        screen.hold(False)
        screen.draw()
        assert terminal.getvalue().endswith("80x24\nblock\n")


def test_closing_takes_the_block_away_and_gives_the_streams_back(terminal: Terminal) -> None:
    with shown_on(terminal, painted) as screen:
        screen.draw()
        screen.close()
        screen.close()
        screen.draw()
        assert terminal.getvalue() == "80x24\nblock\n\x1b[2F\x1b[J"
        assert sys.stdout is terminal
        assert sys.stderr is terminal


def test_a_fork_writes_past_the_screen(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with shown_on(terminal, painted) as screen:
        screen.draw()
        with monkeypatch.context() as fork:
            fork.setattr(os, "getpid", lambda: -1)
            sys.stdout.write("\x1b[2J")
            screen.close()
        assert terminal.getvalue() == "80x24\nblock\n\x1b[2J"


def test_a_screen_without_a_painter_only_escapes() -> None:
    log = io.StringIO()
    with shown_on(log) as screen:
        sys.stdout.writelines(["one\x1b[2J\x07 ", COLOUR + "two\n"])
        screen.draw()
    assert log.getvalue() == f"one\\x1b[2J\\x07 {COLOUR}two\n"


@given(st.text())
def test_a_terminal_obeys_nothing_but_colours(text: str) -> None:
    shown = re.sub("\x1b\\[[0-9;]*m", "", escaped(text))
    assert [char for char in shown if unicodedata.category(char) == "Cc" and char not in "\n\t"] == []
    assert [char for char in shown if unicodedata.bidirectional(char) in _BIDI_CONTROLS] == []


def test_line_ends_of_windows_are_line_ends_and_what_overwrites_a_line_is_shown() -> None:
    assert escaped("one\r\ntwo\x1b[0m\r\nok: forged\rthree\n") == "one\ntwo\x1b[0m\nok: forged\\rthree\n"


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert escaped(text) == text


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}, {"TERM": "xterm", "AWX_ISOLATED_DATA_DIR": "/runner"}])
def test_no_block_where_nothing_can_be_moved_about(environment: dict[str, str], terminal: Terminal) -> None:
    assert not is_terminal(terminal, environment)
    assert is_terminal(terminal, {"TERM": "xterm"})
    assert not is_terminal(io.StringIO(), {"TERM": "xterm"})


def test_ticker_stops_when_told_and_when_nobody_reads() -> None:
    called = threading.Event()
    ticker = Ticker(0.001, called.set)
    ticker.start()
    assert called.wait(10)
    ticker.stop()
    called.clear()
    assert not called.wait(0.05)

    def broken() -> None:
        called.set()
        raise BrokenPipeError

    ticker = Ticker(0.001, broken)
    ticker.start()
    assert called.wait(10)
    ticker.stop()
