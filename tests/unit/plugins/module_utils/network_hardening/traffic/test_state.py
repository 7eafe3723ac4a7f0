# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorder has left is read again, also what an earlier version has written."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import state
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.entries import Entry

BEFORE = pathlib.Path(__file__).with_name("version_1") / "traffic.json"


@contextlib.contextmanager
def _opened(tmp_path: pathlib.Path) -> t.Iterator[StateDirectory]:
    where = StateDirectory.open(str(tmp_path / "state"), state.CAPABILITY, create=False)
    assert where is not None
    try:
        yield where
    finally:
        where.close()


def _directory(tmp_path: pathlib.Path) -> pathlib.Path:
    directory = tmp_path / "state" / "traffic"
    directory.mkdir(parents=True, mode=0o700)
    directory.parent.chmod(0o700)
    shutil.copy(BEFORE, directory / state.BOOK)
    return directory


def test_the_state_of_version_1_is_read_and_has_nothing_measured(tmp_path: pathlib.Path) -> None:
    _directory(tmp_path)
    with _opened(tmp_path) as where:
        book = state.read(where)
        entry = book.entries[("10.99.0.2", 22, "tcp", "in")]
        assert (entry.count, entry.answers, entry.proven, entry.watched, entry.measured) == (3, 3, True, 0, 0)
        result = entry.result(("10.99.0.2", 22, "tcp", "in"))
        assert [result[name] for name in ("bytes", "seconds", "long_lived_count")] == [None] * 3
        assert book.counters["in_tried4_8192_604800s"]["10.99.0.2 tcp 22"][0] == 3
        assert not book.watching
        # It had 0 for what conntrack does not count.
        assert [one["bytes"] for one in book.imports[0].entries] == [None]
        state.write(where, book)
        assert state.read(where) == book


def test_what_was_measured_is_written_and_read(tmp_path: pathlib.Path) -> None:
    _directory(tmp_path)
    with _opened(tmp_path) as where:
        book = state.read(where)
        book.watching = True
        book.entries[("10.99.0.9", 22, "tcp", "in")] = Entry(
            1.0, 2.0, 3, 3, True, {0: 3}, 3, 20, 4000, 2, 700.5, 1, 1.5, 650.0
        )
        state.write(where, book)
        assert state.read(where) == book


def test_imports_keep_a_key_of_before_in_the_file(tmp_path: pathlib.Path) -> None:
    file = _directory(tmp_path) / state.BOOK
    with _opened(tmp_path) as where:
        book = state.read(where)
        book.imports[0].entries[0]["long_lived_count"] = 7
        state.write(where, book)
        assert json.loads(file.read_text("ascii"))["imports"][0]["entries"][0]["held"] == 7
        assert state.read(where).imports == book.imports


def test_a_state_of_a_later_version_and_a_damaged_one_are_refused(tmp_path: pathlib.Path) -> None:
    file = _directory(tmp_path) / state.BOOK
    content = json.loads(file.read_text("ascii"))
    for change, error in (({"version": 99}, NewerError), ({"entries": [["10.99.0.2"]]}, DamagedError)):
        file.write_text(json.dumps({**content, **change}))
        with _opened(tmp_path) as where, pytest.raises(error):
            state.read(where)
