# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can change a log is found out from its rights and those of the directories that it is in."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _trust
from ansible_collections.bulwark.servers.plugins.module_utils._logfiles import Follower

pytestmark = pytest.mark.requires("root")

NOBODY = 65534


def _log(directory: pathlib.Path, mode: int = 0o640, owner: int = 0, group: int = 0) -> pathlib.Path:
    log = directory / "audit.log"
    log.write_text("one\n")
    os.chown(log, owner, group)
    log.chmod(mode)
    return log


def _doubts(log: pathlib.Path) -> dict[str, str]:
    descriptor = os.open(log, os.O_RDONLY)
    try:
        return dict(_trust.doubts(str(log), descriptor))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("mode", "owner", "group", "who"),
    [
        (0o600, 0, 0, ""),
        (0o644, 0, 4, ""),
        (0o664, 0, 43, ""),  # wtmp: root's, and utmp's
        (0o620, 0, 0, ""),
        (0o602, 0, 0, "everybody"),
        (0o600, NOBODY, 0, "nobody"),
        (0o400, NOBODY, 0, "nobody"),  # an owner gives himself every right
        (0o600, 123456, 0, "the account 123456"),
        (0o660, 0, 123456, "the group 123456"),
        (0o666, NOBODY, 4, "nobody, the group adm, everybody"),
    ],
)
def test_whoever_can_write_a_log_is_named(tmp_path: pathlib.Path, mode: int, owner: int, group: int, who: str) -> None:
    assert _doubts(_log(tmp_path, mode, owner, group)).get(str(tmp_path / "audit.log"), "") == who


def test_a_directory_of_somebodys_is_named_however_far_above(tmp_path: pathlib.Path) -> None:
    below = tmp_path / "one" / "two"
    below.mkdir(parents=True)
    log = _log(below)
    assert _doubts(log) == {}
    os.chown(tmp_path / "one", NOBODY, NOBODY)
    assert _doubts(log) == {str(tmp_path / "one"): "nobody"}


def test_a_directory_that_a_link_leads_to_counts_too(tmp_path: pathlib.Path) -> None:
    (tmp_path / "kept").mkdir()
    _log(tmp_path / "kept")
    os.chown(tmp_path / "kept", NOBODY, NOBODY)
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert _doubts(tmp_path / "link" / "audit.log") == {
        str(tmp_path / "link"): "nobody",
        str(tmp_path / "kept"): "nobody",
    }


def test_in_a_sticky_directory_others_cannot_touch_what_is_roots(tmp_path: pathlib.Path) -> None:
    log = _log(tmp_path)
    tmp_path.chmod(0o1777)
    assert _doubts(log) == {}
    tmp_path.chmod(0o777)
    assert _doubts(log) == {str(tmp_path): "everybody"}


@pytest.mark.requires("command:setfacl")
def test_an_access_list_is_seen_where_it_lets_somebody_write(tmp_path: pathlib.Path) -> None:
    log = _log(tmp_path)
    subprocess.run(["setfacl", "-m", "u:nobody:r", log], check=True)
    assert _doubts(log) == {}
    subprocess.run(["setfacl", "-m", "u:nobody:rw", log], check=True)
    assert _doubts(log) == {str(log): "who is in its access list"}


def test_the_reader_of_a_log_says_it_in_a_sentence(tmp_path: pathlib.Path) -> None:
    log = _log(tmp_path, owner=NOBODY)
    follower = Follower()
    follower.open([str(log)])
    follower.close()
    assert follower.doubts == [(str(log), "it can be written by nobody, who may have changed its content")]
