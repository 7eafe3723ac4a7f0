# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths and addresses in texts, and signs in the times of files."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import file_times, mentions
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.file_times import Times

_SECOND = 1_000_000_000
_NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (b"/usr/bin/curl -o /tmp/x http://h/dir/file", [b"/usr/bin/curl", b"/tmp/x"]),
        (b"cd /opt/a\\ b; . '/srv/my app/run.sh'", [b"/srv/my app/run.sh", b"/opt/a b", b"/srv/my"]),
        (b"s/a/b/; ~/x; ${HOME}/y; a/b/c", []),
        (b'ExecStart="/opt/x" >/dev/null 2>&1', [b"/opt/x"]),
        (b"(/dev/shm/x&)", [b"/dev/shm/x"]),
        (b"\0/usr/bin/x", []),
        (b"", []),
    ],
)
def test_paths_of_a_text(text: bytes, paths: list[bytes]) -> None:
    assert list(mentions.find(text).paths) == paths


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (b"curl 203.0.113.9:8080/a, http://203.0.113.10/1.sh", ["203.0.113.9", "203.0.113.10"]),
        (b"nc [2001:db8::1] 443; nc 2001:DB8:0::2", ["2001:db8::1", "2001:db8::2"]),
        (b"127.0.0.1 ::1 0.0.0.0 255.255.255.0 10.0.0.0/8 12:30:45 aa:bb:cc:dd:ee:ff", []),
        (b"use B::C; dead::beef; 1.2.3.4.5; v1.2.3.4; 999.1.1.1", []),
    ],
)
def test_addresses_of_a_text(text: bytes, addresses: list[str]) -> None:
    assert list(mentions.find(text).addresses) == addresses


def test_no_more_than_fifty_are_found() -> None:
    text = b"\n".join(b"/opt/%d" % number for number in range(1000))

    assert len(mentions.find(text).paths) == 50


def _times(modified: float, changed: float, born: float | None) -> Times:
    return Times(int(modified * _SECOND), int(changed * _SECOND), int(born * _SECOND) if born is not None else None)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (_times(_NOW - 10.5, _NOW - 10.5, _NOW - 10.6), []),
        (_times(_NOW - 5.5, _NOW - 1.25, _NOW - 100.5), []),
        (_times(_NOW - 9000.5, _NOW - 10.5, _NOW - 10.5), ["before the file was made"]),
        (_times(_NOW - 9000, _NOW - 10.5, None), ["in whole seconds"]),
        (_times(_NOW + 9000.5, _NOW - 10.5, None), ["later than its last change"]),
        (_times(_NOW + 900_000.5, _NOW + 900_000.5, None), ["clock was wrong"]),
    ],
)
def test_signs_of_changed_times(times: Times, words: list[str]) -> None:
    signs = file_times.signs(times, _NOW)

    assert len(signs) == len(words)
    assert all(word in sign for word, sign in zip(words, signs, strict=True))


def test_what_happened_at_the_same_time_is_there_once() -> None:
    assert file_times.happened(_times(_NOW + 0.2, _NOW + 0.3, _NOW)) == {"made": _NOW}
    assert file_times.happened(_times(_NOW + 5, _NOW + 9, _NOW)) == {
        "made": _NOW,
        "modified": _NOW + 5,
        "changed": _NOW + 9,
    }


@pytest.mark.parametrize(("later", "is_sign"), [(0.5, False), (60.0, True)])
def test_two_files_of_one_tick_are_no_sign_unless_the_inode_changed_later(later: float, is_sign: bool) -> None:
    written = int(_NOW - 3600) * 10**9 + 123
    times = file_times.Times(written, written + int(later * 10**9), written)
    assert any("touch -r" in sign for sign in file_times.signs(times, _NOW, "/srv/x")) is is_sign
