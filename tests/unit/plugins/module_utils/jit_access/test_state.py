# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files keep the keys of the first version, whatever the options and results are called."""

from __future__ import annotations

import contextlib
import json
import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock, grants, state, usage
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import parse

NOW = clock.Now(1_800_000_000.0, 1000.0, "boot")
POLICY = {
    "ports": [{"port": "22", "protocol": "tcp", "sources": ["10.0.0.0/8"], "max_duration": 600, "cut": True}],
    "always": ["192.0.2.1"],
}
GRANT = {
    "id": "grant-1",
    "for_whom": "ada",
    "requested_by": "bob",
    "reason": "a ticket",
    "ports": ["22"],
    "protocol": "tcp",
    "sources": ["10.1.2.3"],
    "duration": 600,
    "opened": NOW.wall,
    "until": NOW.wall + 600,
    "digest": None,
}
ENDED = {**GRANT, "id": "grant-0", "ended": NOW.wall, "how": "closed", "closed_by": "eve", "opened_reason": "a ticket"}


def test_a_policy_is_written_and_read_with_its_keys(tmp_path: pathlib.Path) -> None:
    wanted = parse([{**POLICY["ports"][0], "close_connections": True}], POLICY["always"])
    with contextlib.closing(_directory(tmp_path)) as where:
        state.write_policy(where, wanted)
        noted = json.loads((tmp_path / "state" / state.CAPABILITY / records.POLICY).read_text())
        assert noted["policy"] == POLICY
        found = state.read_policy(where)
    assert found is not None
    assert found[0] == wanted
    assert found[0].locks[0].close_connections
    assert wanted.fields()["always_allow"] == ["192.0.2.1"]


def test_grants_and_history_are_read_with_their_keys(tmp_path: pathlib.Path) -> None:
    content = {
        "version": 1,
        "boot": NOW.boot,
        "open": [{**GRANT, "end": 1600.0, "counted": None, "closing": None}],
        "cut": [],
        "history": [ENDED],
    }
    with contextlib.closing(_directory(tmp_path)) as where:
        (tmp_path / "state" / state.CAPABILITY / state.GRANTS).write_text(json.dumps(content))
        book = state.read_book(where, NOW)
        state.write_book(where, book)
        assert json.loads((tmp_path / "state" / state.CAPABILITY / state.GRANTS).read_text()) == content
    (opened,) = book.open
    assert grants.shown(opened, NOW)["requested_for"] == "ada"
    ended = usage.shown_ended(book.history[0], None, NOW)
    assert (ended["requested_for"], ended["outcome"], ended["closed_by"]) == ("ada", "closed", "eve")
    assert not {"for_whom", "how"} & {*ended, *grants.shown(opened, NOW)}


def _directory(tmp_path: pathlib.Path) -> StateDirectory:
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    where = StateDirectory.open(str(root), state.CAPABILITY, create=True)
    assert where is not None
    return where
