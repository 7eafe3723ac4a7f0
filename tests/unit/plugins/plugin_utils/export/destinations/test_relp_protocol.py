# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of RELP, as they are sent, and as they arrive in any parts, also from receivers that speak none."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import relp_protocol as relp
from hypothesis import given
from hypothesis import strategies as st


def test_a_frame_counts_its_data() -> None:
    assert relp.frame(1, relp.OPEN, b"relp_version=0") == b"1 open 14 relp_version=0\n"
    assert relp.frame(999_999_999, relp.CLOSE) == b"999999999 close 0\n"


_STREAM = (
    b"1 rsp 30 200 OK\nrelp_version=0\ncommands\n2 rsp 6 200 OK\n3 rsp 9 500 error\n0 serverclose 0\n4 rsp 3 200\n"
)
_RESPONSES = [
    relp.Response(1, "rsp", 200, "200 OK\nrelp_version=0\ncommands"),
    relp.Response(2, "rsp", 200, "200 OK"),
    relp.Response(3, "rsp", 500, "500 error"),
    relp.Response(0, "serverclose", 0, ""),
    relp.Response(4, "rsp", 200, "200"),
]


@given(st.lists(st.integers(0, len(_STREAM))))
def test_responses_arrive_in_any_parts(cuts: list[int]) -> None:
    reader = relp.ResponseReader()
    responses = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(_STREAM)], strict=True):
        responses += reader.feed(_STREAM[start:end])
    assert responses == _RESPONSES


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it says 'HTTP/1.1 400 Bad Request"),
        (b"\x15\x03\x03\x00\x02\x02\x46" + b"\x00" * 64, "which is no RELP"),
        (b"x" * 100, "which is no RELP"),
        (b"1 rsp 5\n", "sends others"),
        (b"1 rsp 99999999 ", "more than 65536"),
        (b"1 rsp 3 200 OK\n", "does not end after the 3 bytes"),
        (b"1 rsp 5 hello\n", "has no status"),
        (b"1 rsp 0\n", "has no status"),
        (b"1234567890 rsp 0\n", "which is no RELP"),
    ],
)
def test_what_is_no_relp_is_refused(sent: bytes, message: str) -> None:
    with pytest.raises(relp.RelpError, match=message):
        relp.ResponseReader().feed(sent)


@given(st.binary(max_size=300))
def test_any_bytes_are_responses_or_refused(data: bytes) -> None:
    with contextlib.suppress(relp.RelpError):
        assert all(response.number >= 0 for response in relp.ResponseReader().feed(data))
