# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced at once, or not at all."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _atomic_file


@pytest.fixture
def temporary(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "new")


def test_file_is_replaced_with_its_mode_and_owner(tmp_path: pathlib.Path, temporary: str) -> None:
    other, path = tmp_path / "other", tmp_path / "file"
    other.write_bytes(b"other")
    path.write_bytes(b"former")
    # A run that was killed, or somebody else, left it.
    os.symlink(other, temporary)
    _atomic_file.write(str(path), b"content", 0o640, temporary, (os.geteuid(), os.getegid()))
    status = path.stat()
    assert (path.read_bytes(), status.st_mode & 0o777, status.st_uid) == (b"content", 0o640, os.geteuid())
    assert other.read_bytes() == b"other"
    assert not os.path.lexists(temporary)


def test_nothing_is_left_of_a_failure(tmp_path: pathlib.Path, temporary: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        _atomic_file.write(str(tmp_path / "directory"), b"", 0o644, temporary, (os.geteuid(), os.getegid()))
    assert not os.path.lexists(temporary)
