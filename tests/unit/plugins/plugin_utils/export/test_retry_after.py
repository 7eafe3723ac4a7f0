# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retry-After in the two forms of RFC 9110, and in what is none."""

from __future__ import annotations

import datetime as dt

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import retry_after
from hypothesis import given
from hypothesis import strategies as st

_NOW = dt.datetime(2026, 11, 29, 22, 24, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 120 "}, 120),
        ({"retry-after": "99999999999999999999"}, retry_after.LONGEST),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 29 Nov 2026 22:26:00 GMT"}, 120),
        # The other two forms of dates that a receiver may still send.
        ({"retry-after": "Sunday, 29-Nov-26 22:26:00 GMT"}, 120),
        ({"retry-after": "Sun Nov 29 22:26:00 2026"}, 120),
        ({"retry-after": "Sun, 29 Nov 2026 20:00:00 GMT"}, 0),
        ({"retry-after": "Sun, 29 Nov 9999 20:00:00 GMT"}, retry_after.LONGEST),
        ({"retry-after": "Sun, 99 Nov 2026 22:26:00 GMT"}, None),
        # By the receiver's clock, which is an hour behind.
        ({"retry-after": "Sun, 29 Nov 2026 21:26:00 GMT", "date": "Sun, 29 Nov 2026 21:24:00 GMT"}, 120),
        ({"retry-after": "Sun, 29 Nov 2026 22:26:00 GMT", "date": "yesterday"}, 120),
    ],
)
def test_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after.seconds(headers, _NOW) == seconds


@given(st.text(), st.text())
def test_any_text_is_bounded(value: str, date: str) -> None:
    seconds = retry_after.seconds({"retry-after": value, "date": date}, _NOW)

    assert seconds is None or 0 <= seconds <= retry_after.LONGEST
