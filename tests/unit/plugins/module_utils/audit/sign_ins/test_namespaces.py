# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit can log to a journal of its own (LogNamespace=): what sshd says is not in the usual one then, nor in files."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import journal
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places, Sources
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import Reading

_MACHINE = "0123456789abcdef" * 2


def _make(directory: pathlib.Path, name: str) -> None:
    (directory / name).mkdir(parents=True)
    (directory / name / "system.journal").touch()


def test_all_journals_are_read_where_there_are_several(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "DIRECTORIES", (str(tmp_path),))
    _make(tmp_path, _MACHINE)
    # journalctl before 245 does not know the option, and has no such directories.
    assert "--namespace=*" not in journal.Journal(None, everything=False)._options
    _make(tmp_path, _MACHINE + ".web")
    assert "--namespace=*" in journal.Journal(None, everything=False)._options


def test_files_that_are_written_are_not_enough_then(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, directory = tmp_path / "auth.log", tmp_path / "journal"
    log.write_text("")
    places = Places([str(log)], journal_directory=str(directory), send=lambda: None, events=list)
    for name, is_read in ((_MACHINE, False), (_MACHINE + ".web", True)):
        _make(directory, name)
        reading = Reading(lambda: False, 0.0, log.stat().st_mtime)
        sources = Sources(places, {}, reading, None)
        monkeypatch.setattr(sources, "_are_written", lambda _newest: True)
        assert (sources._open_journal(places, None) is not None) is is_read
        sources.close()
