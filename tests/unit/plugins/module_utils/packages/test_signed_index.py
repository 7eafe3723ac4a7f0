# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes that somebody writes to in place while they are read."""

from __future__ import annotations

import hashlib
import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.packages import openpgp
from ansible_collections.bulwark.servers.plugins.module_utils.packages.signed_index import Entry, SignedIndexes

_STANZA = "Package: tool\nVersion: 2\nArchitecture: all\nSHA256: %s\n"
_GENUINE, _EVIL = _STANZA % ("a" * 64), _STANZA % ("e" * 64)


def _entry(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch, meanwhile: t.Callable[[pathlib.Path], object]
) -> Entry | None:
    """Return what an evil index says. meanwhile: called while the signature of its release is verified."""
    lists = root / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    index = lists / "mirror_main_Packages"
    index.write_text(_EVIL)
    (lists / "mirror_InRelease").write_text("")
    keys = root / "usr/share/keyrings"
    keys.mkdir(parents=True)
    (keys / "key.gpg").write_bytes(b"key")
    digest = hashlib.sha256(_GENUINE.encode()).hexdigest()

    def signed_text(_message: bytes, _keys: bytes) -> bytes:
        meanwhile(index)
        return f"SHA256:\n {digest} {len(_GENUINE)} main/Packages\n".encode()

    monkeypatch.setattr(openpgp, "signed_text", signed_text)
    return SignedIndexes(os.fsencode(root), lambda _path, _content: True).entry("tool", "2", "all")


def test_what_was_read_is_what_is_verified(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exchange(index: pathlib.Path) -> None:
        with index.open("r+") as stream:
            stream.write(_GENUINE)

    assert _entry(tmp_path, monkeypatch, exchange) is None


def test_an_index_that_is_emptied_meanwhile_ends_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = os.fork()
    if not pid:
        # Whoever touches a page of a mapping that the file does not have any more gets SIGBUS.
        status = 1
        try:
            status = int(_entry(tmp_path, monkeypatch, lambda index: os.truncate(index, 0)) is not None)
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
