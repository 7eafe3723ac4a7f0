# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the journal, from a program that stands in for journalctl where that cannot be made to fail."""

from __future__ import annotations

import pathlib
import sys
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries


def _program(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    # Journals that are damaged in such ways cannot be made; the program only writes lines.
    monkeypatch.setattr(journal_entries, "COMMAND", (sys.executable, "-c", code))


def test_entries_come_whole_and_longer_ones_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = journal_entries.ENTRY_LIMIT
    _program(monkeypatch, f"print('a'); print('b' * {2 * limit}); print('c' * 300_000); print('d')")
    assert list(journal_entries.read([], lambda: False)) == [b"a", b"c" * 300_000, b"d"]


def test_options_are_passed_and_a_cursor_is_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    _program(monkeypatch, "import sys; print(sys.argv[1:])")
    options = [journal_entries.start("s=0;i=1", 5.0), journal_entries.start("--flush x", 5.9)]
    assert list(journal_entries.read(options, lambda: False)) == [b"['--after-cursor=s=0;i=1', '--since=@5']"]


def test_reading_ends_with_the_time_also_if_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    _program(monkeypatch, "import time; print('a', flush=True); time.sleep(60)")
    end = time.monotonic() + 2
    assert list(journal_entries.read([], lambda: time.monotonic() > end)) == [b"a", None]
    assert time.monotonic() < end + 30


def test_what_fails_is_said_after_what_was_read(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    _program(monkeypatch, "import sys; print('a'); sys.exit(3)")
    reading = journal_entries.read([], lambda: False)
    assert next(reading) == b"a"
    with pytest.raises(journal_entries.JournalError, match="journalctl ended with status 3"):
        next(reading)
    monkeypatch.setattr(journal_entries, "COMMAND", (str(tmp_path / "journalctl"),))
    with pytest.raises(journal_entries.JournalError, match="journalctl can't be run: No such file"):
        next(journal_entries.read([], lambda: False))
