# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import unicodedata

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import shown
from hypothesis import given
from hypothesis import strategies as st

ANY = st.text(alphabet=st.characters(), max_size=60)


@given(ANY)
def test_nothing_hides_in_a_visible_text(text: str) -> None:
    assert all(not _hides(char) for char in shown.visible(text))


@given(ANY)
def test_a_visible_text_stays_as_it_is(text: str) -> None:
    assert shown.visible(shown.visible(text)) == shown.visible(text)


@given(ANY)
def test_a_visible_text_can_be_encoded(text: str) -> None:
    assert shown.visible(text).encode().decode() == shown.visible(text)


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("/etc/passwd", "/etc/passwd"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\nb", "a\\nb"),
        ("\x1b[2J", "\\x1b[2J"),
        ("already \\u202e escaped", "already \\u202e escaped"),
        ("\ud800", "\\ud800"),
        ("soft\u00adhyphen and tag\U000e0041", "soft\\u00adhyphen and tag\\U000e0041"),
        ("Grüße, мир, 世界", "Grüße, мир, 世界"),
    ],
)
def test_what_hides_is_escaped_and_the_rest_stays(text: str, visible: str) -> None:
    assert shown.visible(text) == visible


def test_lines_are_kept_where_they_are_wanted() -> None:
    assert shown.visible("a\n\tb\r", multiline=True) == "a\n\tb\\r"


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert shown.visible("x" * 1_000_000, limit=10) == "x" * 10 + " … (999,990 more characters)"


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1e20, 1e20])
def test_a_time_outside_the_calendar_is_unknown(seconds: float) -> None:
    assert (shown.format_time(seconds), shown.machine_time(seconds)) == ("unknown", "")


def test_a_time_is_utc() -> None:
    assert (shown.format_time(0), shown.machine_time(90)) == ("1970-01-01 00:00", "1970-01-01T00:01Z")


def test_names_are_listed_in_a_sentence() -> None:
    assert [shown.listed(list("abcdefg"[:n]), 3) for n in (0, 1, 2, 3, 7)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b, c and 4 more",
    ]


def test_a_capability_that_is_not_known_is_shown_by_its_id() -> None:
    assert shown.capability_name("file_integrity") == "File integrity"
    assert shown.capability_name("some_new\u202e_one") == "Some new\\u202e one"


def test_a_name_for_the_address_ends_nothing() -> None:
    assert shown.quoted("a&b=c#d?/\ud800") == "a%26b%3Dc%23d%3F%2F%5Cud800"


def _hides(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
