# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /etc/ld.so.preload says, told by other files of its kind."""

from __future__ import annotations

import os
import pathlib

import hypothesis
import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import preload_file


class _Host:
    """Knows one packaged file."""

    def __init__(self, packaged: str) -> None:
        self._packaged = os.fsencode(packaged)

    def owner(self, path: bytes) -> str | None:
        return "packaged 1" if path == self._packaged else None

    def as_packaged(self, path: bytes, descriptor: int) -> str | None:
        assert descriptor >= 0
        return self.owner(path)


def _seen(path: pathlib.Path, host: _Host, skipped: list[str] | None = None) -> list[tuple[str, str]]:
    skip = pytest.fail if skipped is None else skipped.append
    found = preload_file.check(host, skip, bytes(path))  # type: ignore[arg-type]
    return [(subject, sign.subtype) for subject, sign in found]


def test_each_library_is_told_by_its_package(tmp_path: pathlib.Path) -> None:
    listed, good, bad = (tmp_path / name for name in ("listed", "good.so", "bad.so"))
    good.touch()
    listed.write_text(f"# a comment {bad}\n{good}:{bad}  {bad}\n")
    link = tmp_path / "link"
    link.symlink_to(listed)
    host = _Host(str(good))
    expected = [(f"{listed}: {good}", "preload_file"), (f"{listed}: {bad}", "preload_file_unpackaged")]
    assert _seen(listed, host) == expected
    assert [subtype for _about, subtype in _seen(link, host)] == [subtype for _about, subtype in expected]


def test_nothing_is_said_of_a_file_that_is_empty_or_not_there(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    for name in ("empty", "pipe", "none", "."):
        assert _seen(tmp_path / name, _Host("")) == []


def test_a_file_that_the_library_denies_is_hidden(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "listed"
    listed.write_text("/usr/lib/bad.so\n")
    monkeypatch.setattr(preload_file, "_opened", lambda _path: None)
    assert [subtype for _about, subtype in _seen(listed, _Host(""))] == [
        "preload_file_hidden",
        "preload_file_unpackaged",
    ]


@pytest.mark.parametrize("before", [" " * 70_000, "\n".join(f"/usr/lib/{number}.so" for number in range(64))])
def test_a_file_of_which_not_all_is_looked_at_is_named(before: str, tmp_path: pathlib.Path) -> None:
    listed = tmp_path / "listed"
    listed.write_text(f"{before}\n/usr/lib/bad.so\n")
    skipped: list[str] = []
    assert len(_seen(listed, _Host(""), skipped)) in (0, 64)
    assert skipped == [f"{listed} has more than 64 names or 65536 bytes: only the first were read; check the file"]


@hypothesis.given(st.binary(max_size=300))
def test_names_are_never_empty_and_come_once(text: bytes) -> None:
    names = preload_file.parse(text)
    assert len(names) == len(set(names))
    assert all(name and not set(name) & set(b" \n\t:#") for name in names)
