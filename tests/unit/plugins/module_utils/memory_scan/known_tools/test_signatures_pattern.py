# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns, against a matcher that tries everything, and patterns that are wrong."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_pattern import (
    PatternError,
    compile_pattern,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_search import (
    Matcher,
)
from hypothesis import given, settings
from hypothesis import strategies as st

_FIXED = bytes.fromhex("f00dbabe5eed")
_TOKENS = st.one_of(
    st.sampled_from(["00", "4?", "?1", "??", "FF", "41", "[0-2]", "[1]"]),
)


def naive(tokens: t.Sequence[str], data: bytes, at: int) -> bool:
    """Say whether tokens match at a place, by trying every length of every gap."""
    if not tokens:
        return True
    first, rest = tokens[0], tokens[1:]
    if first.startswith("["):
        least, _dash, most = first.strip("[]").partition("-")
        return any(
            at + gap <= len(data) and naive(rest, data, at + gap) for gap in range(int(least), int(most or least) + 1)
        )
    if at >= len(data):
        return False
    shown = "%02x" % data[at]
    return all(want in ("?", have) for want, have in zip(first.lower(), shown, strict=True)) and naive(
        rest, data, at + 1
    )


def places(pattern: t.Any, data: bytes, size: int) -> int | None:
    """Return where a pattern is found first, the data given in pieces."""
    given = {
        "id": "one",
        "title": "one",
        "family": "one",
        "kind": "bot",
        "where": ["executable"],
        "patterns": {"a": pattern, "b": {"hex": _FIXED.hex() + "112233445566778899aabb"}},
        "condition": "all",
    }
    whole = data + _FIXED + bytes.fromhex("112233445566778899aabb")
    found = Matcher.from_payload([given]).scan(
        "executable", lambda: ((at, whole[at : at + size]) for at in range(0, len(whole), size))
    )
    return dict(found[0].places)["a"] if found else None


@settings(max_examples=400)
@given(
    before=st.lists(_TOKENS, max_size=4),
    after=st.lists(_TOKENS, max_size=3),
    data=st.lists(st.sampled_from([b"\0", b"\x41", b"\x4f", b"\x01", b"\xff", _FIXED]), max_size=12).map(b"".join),
    size=st.integers(1, 40),
)
def test_hexadecimal_is_found_where_a_naive_matcher_finds_it(
    before: list[str], after: list[str], data: bytes, size: int
) -> None:
    fixed = [_FIXED.hex()[at : at + 2] for at in range(0, 12, 2)]
    # A pattern neither begins nor ends with a gap.
    tokens = ["00", *before, *fixed, *after, "41"]
    expected = [at for at in range(len(data)) if naive(tokens, data, at)]
    assert (places({"hex": " ".join(tokens)}, data, size) is not None) == bool(expected)


@given(text=st.text("abXY z", min_size=5, max_size=8).filter(lambda text: len(set(text)) > 1), size=st.integers(1, 50))
def test_case_and_width(text: str, size: int) -> None:
    wide = text.encode("utf-16-le")
    assert places({"text": text, "nocase": True}, b"\x01" + text.swapcase().encode(), size) == 1
    assert places({"text": text, "wide": True}, b"\x01\x02" + wide, size) == 2
    assert (
        places({"text": text, "wide": True, "nocase": True}, b"\x01" + text.swapcase().encode("utf-16-le"), size) == 1
    )
    assert places({"text": text}, wide, size) is None


def test_a_literal_that_overlaps_itself_is_tried_at_each_place() -> None:
    assert places({"hex": "ff ab cd ab cd ?? 00"}, bytes.fromhex("ffabcdabcdabcdffabcdabcd0100"), 5) == 7
    assert places({"hex": "?? 41 42 41 42 00"}, b"\x01ABABAB\0", 3) == 2


def test_a_form_says_how_far_its_literal_is_from_its_ends() -> None:
    (form,) = compile_pattern({"hex": "4? [2-6] 11 22 33 44 55 ?? [0-3] 99"}).forms
    assert form.literal == (bytes.fromhex("1122334455"), 7, 5)
    assert form.longest == 17
    assert compile_pattern({"hex": "4? [2-6] 11 22 33 44 55 ?? [0-3] 99"}).fixed == 6.5


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (7, "a text, or a mapping"),
        ({}, "either text or hex"),
        ({"text": "abcdef", "hex": "41"}, "either text or hex"),
        ({"text": "abcdef", "regex": "."}, "unknown key 'regex'"),
        ({"text": ""}, "not empty"),
        ({"text": "abc"}, "4 fixed bytes"),
        ({"text": "\0\0\0\0\0\0"}, "not all the same"),
        ({"text": "\ud800abcdef"}, "write the bytes as hex"),
        ({"text": "x" * 600 + "y" * 600}, "1200 bytes long"),
        ({"text": "abcdef", "nocase": "yes"}, "true or false"),
        ({"hex": 41424344}, "quote it"),
        ({"hex": " "}, "quote it"),
        ({"hex": "41 42 4"}, "hex is wrong at '4'"),
        ({"hex": "41 42 (43|44) 45"}, "hex is wrong at '(43|44) 45'"),
        ({"hex": "[2] 41 42 43 44"}, "begins or ends with a gap"),
        ({"hex": "41 42 43 44 [2]"}, "begins or ends with a gap"),
        ({"hex": "41 42 43 44 [9-2] 41"}, "the smaller first"),
        ({"hex": "41 42 43 44 [0-999] 41"}, "use 0 to 256"),
        ({"hex": "41 42 43 44" + " [0-99] 41" * 3}, "more than 4096 ways"),
        ({"hex": "41 ?? " * 100}, "4 fixed bytes"),
        ({"hex": "41" * 9000}, "more than 4096 characters"),
        ({"hex": "41 42 43 44", "wide": True}, "are for text"),
    ],
)
def test_what_is_wrong_is_said(pattern: t.Any, says: str) -> None:
    with pytest.raises(PatternError) as raised:
        compile_pattern(pattern)
    assert says in str(raised.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=30),
        lambda one: st.dictionaries(st.sampled_from(["text", "hex", "nocase", "wide", "x"]), one, max_size=4),
        max_leaves=6,
    )
)
def test_anything_else_is_an_error_of_usage(pattern: t.Any) -> None:
    with contextlib.suppress(PatternError):
        compile_pattern(pattern)


@given(st.text("0123456789abcdef?[]- ", max_size=60))
def test_any_hexadecimal_is_taken_or_refused(text: str) -> None:
    try:
        pattern = compile_pattern({"hex": text})
    except PatternError:
        return
    assert 0 < len(pattern.forms[0].literal.value) <= pattern.longest
