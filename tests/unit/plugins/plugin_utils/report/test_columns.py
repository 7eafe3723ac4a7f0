# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import columns


@pytest.mark.parametrize(
    ("words", "room", "shown"), [("abc", 2, "ab"), ("abc", 3, "abc"), ("日本語", 5, "日本"), ("日本語", 6, "日本語")]
)
def test_text_is_cut_to_the_columns_it_takes(words: str, room: int, shown: str) -> None:
    assert columns.taken(words, room) == shown


@pytest.mark.parametrize(
    ("words", "room", "middle", "shown"),
    [
        ("web1", 4, True, "web1"),
        ("web-001.example.org", 9, True, "web-….org"),
        ("web-001.example.org", 9, False, "web-001.…"),
        ("日本語の名前", 7, True, "日…前"),
    ],
)
def test_what_is_cut_out_leaves_an_ellipsis(words: str, room: int, middle: bool, shown: str) -> None:
    assert columns.shortened(words, room, middle=middle) == shown


def test_a_subject_gives_way_before_what_was_found() -> None:
    given = [columns.Column("FINDING", 60, shrinks=60), columns.Column("SUBJECT", 200, shrinks=24, middle=True)]
    row = ["persistence_cron: Scheduled command changed", "/etc/cron.d/" + "x" * 60]
    (_header, line) = columns.aligned(given, [row], 80)
    assert line.startswith(f"{row[0]}  /etc/cron.d/")
    assert len(line) == 80
    (_header, narrow) = columns.aligned(given, [row], 60)
    assert narrow.startswith("persistence_cron: Scheduled comma…  ")
