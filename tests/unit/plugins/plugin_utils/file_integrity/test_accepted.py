# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import accepted
from hypothesis import given

from tests.unit.plugins.plugin_utils.ocsf.test_hostile import JSON


def change(number: int, is_explained: bool = False, **other: t.Any) -> dict[str, t.Any]:
    return {"id": str(number), "path": f"/etc/{number}", "kind": "modified", "explained": is_explained, **other}


@pytest.mark.parametrize(
    ("told", "count", "subjects", "is_complete"),
    [
        ([change(1), change(2)], 2, ["/etc/1", "/etc/2"], True),
        ([change(1), change(2)], 3, ["/etc/1", "/etc/2"], False),
        # What is explained comes last, so that what isn't was all listed.
        ([change(1), change(2, is_explained=True)], 900, ["/etc/1"], True),
        ([change(1, is_explained=True)], 900, [], True),
        ([], 0, [], True),
        ([change(number) for number in range(1_500)], 1_500, [f"/etc/{n}" for n in range(1_000)], False),
        # Of a host that lies.
        ([change(1, path=""), change(2, path="/" * 99_999), change(3, kind=None), "x", change(4)], 5, ["/etc/4"], True),
    ],
)
def test_what_a_host_says(told: list[t.Any], count: int, subjects: list[str], is_complete: bool) -> None:
    found = accepted.accepted_changes("file_integrity", {"accepted": told, "accepted_count": count})
    assert found is not None
    assert [item["subject"] for item in found.changes] == subjects
    assert (found.capability, found.count, found.is_complete) == ("file_integrity", count, is_complete)


@pytest.mark.parametrize("count", [None, "3", True, -1, 2**70, 1.5])
def test_a_number_that_is_none_is_that_of_the_list(count: t.Any) -> None:
    found = accepted.accepted_changes("file_integrity", {"accepted": [change(1)], "accepted_count": count})
    assert found is not None
    assert found.count == 1


@given(JSON, JSON)
def test_whatever_a_host_says_is_text_that_can_be_shown(told: t.Any, count: t.Any) -> None:
    found = accepted.accepted_changes("file_integrity", {"accepted": told, "accepted_count": count})
    for item in found.changes if found else ():
        assert all(text.isascii() and text.isprintable() for text in item.values())
