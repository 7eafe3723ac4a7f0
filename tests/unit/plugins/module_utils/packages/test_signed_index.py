# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils.packages import signed_index

_STANZA = b"Package: probe\nVersion: 1\nArchitecture: all\nSHA256: %s\n\n"


def test_what_is_written_into_an_index_after_it_was_read_is_not_seen(tmp_path: pathlib.Path) -> None:
    """Its digest was compared with the signed one by then."""
    path = tmp_path / "var" / "lib" / "apt" / "lists" / "example.org_Packages"
    path.parent.mkdir(parents=True)
    path.write_bytes(_STANZA % (b"a" * 64) * 100)
    indexes = signed_index.SignedIndexes(bytes(tmp_path))

    def archives() -> set[bytes]:
        return set(signed_index._archives(indexes._content(b"example.org_Packages"), b"probe", b"1", b"all"))

    assert archives() == {b"a" * 64}
    with path.open("r+b") as stream:
        stream.write(_STANZA % (b"b" * 64) * 100)
    assert archives() == {b"a" * 64}
    os.truncate(path, 0)
    assert archives() == {b"a" * 64}
