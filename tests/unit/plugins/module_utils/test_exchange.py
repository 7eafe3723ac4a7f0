# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange of two names, also on hosts whose glibc or file system can't do it at once."""

from __future__ import annotations

import ctypes
import errno
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._exchange import Exchanger


class OldGlibc:
    """A glibc before 2.28, without ``renameat2``."""

    def __init__(self, *_arguments: t.Any, **_options: t.Any) -> None:
        pass


class PoorFileSystem(OldGlibc):
    def renameat2(self, *_arguments: t.Any) -> int:
        ctypes.set_errno(errno.EINVAL)
        return -1


@pytest.mark.parametrize("library", [ctypes.CDLL, OldGlibc, PoorFileSystem])
def test_names_are_exchanged(library: type, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", library)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.touch()
    Exchanger().exchange(str(first), str(second))
    assert first.is_file()
    assert second.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_a_name_that_is_not_there_is_an_error(tmp_path: pathlib.Path) -> None:
    first = tmp_path / "first"
    first.touch()
    with pytest.raises(FileNotFoundError):
        Exchanger().exchange(str(first), str(tmp_path / "second"))
    assert first.exists()
