# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures: their conditions, memory in pieces, and payloads that lie."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures import (
    SignatureError,
    compile_signature,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_search import (
    Matcher,
)
from hypothesis import given
from hypothesis import strategies as st

_TEXTS = {
    "a": "the first of four facts",
    "b": "the second one of them",
    "c": "a third that is rare",
    "d": "and a fourth",
}


def signature(**changes: t.Any) -> dict[str, t.Any]:
    given = {
        "id": "tool",
        "title": "A tool",
        "family": "tool",
        "kind": "miner",
        "where": ["executable"],
        "patterns": dict(_TEXTS),
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


def found(data: bytes, size: int = 7, place: str = "executable", **changes: t.Any) -> list[tuple[str, int]] | None:
    matcher = Matcher.from_payload([signature(**changes)])
    matches = matcher.scan(place, lambda: ((at, data[at : at + size]) for at in range(0, len(data), size)))
    return list(matches[0].places) if matches else None


def text(*names: str) -> bytes:
    return b" .. ".join(_TEXTS[name].encode() for name in names)


@pytest.mark.parametrize(
    ("condition", "enough", "too_little"),
    [
        ("all", "abcd", "abc"),
        ("any", "d", ""),
        (2, "bd", "b"),
        ([{"at_least": 1, "of": ["a", "b"]}, {"at_least": 2, "of": ["b", "c", "d"]}], "bc", "ab"),
        ([{"at_least": 1, "of": ["a", "b"]}, {"at_least": 2, "of": ["b", "c", "d"]}], "acd", "cd"),
    ],
)
def test_a_condition(condition: t.Any, enough: str, too_little: str) -> None:
    # "and a fourth" alone is too short to be enough.
    patterns = {**_TEXTS, "d": _TEXTS["d"] + ("; it is longer" if condition == "any" else "")}
    data = text(*enough) + (b"; it is longer" if condition == "any" else b"")
    assert found(data, condition=condition, patterns=patterns) is not None
    assert found(text(*too_little), condition=condition, patterns=patterns) is None


@given(names=st.permutations("abcd"), size=st.integers(1, 200), gap=st.integers(0, 300))
def test_facts_are_found_across_the_borders_of_pieces(names: list[str], size: int, gap: int) -> None:
    data = (b"\xfe" * gap).join(_TEXTS[name].encode() for name in names)
    assert found(data, size) == [(name, data.index(_TEXTS[name].encode())) for name in names]


def test_pieces_that_do_not_follow_each_other_are_not_joined() -> None:
    data = text("a")
    matcher = Matcher.from_payload([signature(condition="any", patterns={"a": _TEXTS["a"]})])
    assert matcher.scan("executable", lambda: iter(((0, data[:9]), (9, data[9:]))))
    assert not matcher.scan("executable", lambda: iter(((0, data[:9]), (4096, data[9:]))))
    assert not matcher.scan("executable", lambda: iter(((0, data[:9]), (9, b""), (10, data[9:]))))


def test_near_counts_from_the_last_of_each_fact() -> None:
    far = b"\0" * 5000
    assert found(text("a") + far + text("b"), condition=2, near=1000) is None
    assert found(text("a") + far + text("b") + far + text("a", "b"), condition=2, near=1000) == [
        ("a", 10045),
        ("b", 10072),
    ]
    assert found(text("a") + far + text("b"), condition=2) is not None


def test_a_text_of_rules_in_memory_is_no_match() -> None:
    where = {"where": ["memory", "executable"], "condition": 2}
    for rules in (
        b'  a: "%s"\n  b: %s\n',
        b'$a = "%s"\n$b = "%s"',
        b"- '%s'\n- \"%s\"",
        b'["%s", "%s"]',
        b"/ a=/%s/ b=/%s/",
    ):
        data = rules % (_TEXTS["a"].encode(), _TEXTS["b"].encode())
        assert found(data, place="memory", **where) is None, rules
        assert found(data, place="executable", **where) is not None
    assert found(text("a", "b"), place="memory", **where) is not None
    assert found(b"print: " + text("a") + b"\n" + text("a", "b"), place="memory", **where) is not None


def test_memory_is_asked_for_once_where_nothing_is_in_it() -> None:
    asked = []

    def source() -> t.Iterator[tuple[int, bytes]]:
        asked.append(1)
        return iter(((0, bytes(100_000)),))

    assert Matcher.from_payload([signature()]).scan("executable", source) == []
    assert len(asked) == 1
    assert Matcher.from_payload([signature()]).scan("library", source) == []
    assert len(asked) == 1


def test_an_error_of_the_source_comes_through() -> None:
    def source() -> t.Iterator[tuple[int, bytes]]:
        yield 0, b"x"
        raise OSError(5, "as it comes")

    with pytest.raises(OSError, match="as it comes"):
        Matcher.from_payload([signature()]).scan("executable", source)


@pytest.mark.parametrize(
    ("changes", "part", "says"),
    [
        ({"id": "Has Spaces"}, "id", "lower-case"),
        ({"id": 5}, "id", "lower-case"),
        ({"title": ""}, "title", "a line"),
        ({"title": "two\nlines"}, "title", "a line"),
        ({"kind": "virus"}, "kind", "'virus' is not one of miner"),
        ({"severity": "grave"}, "severity", "'grave' is not one of"),
        ({"attack": ["T1"]}, "attack", "not an id of ATT&CK"),
        ({"attack": "T1496"}, "attack", "a list"),
        ({"where": []}, "where", "a list of 1"),
        ({"where": ["disk"]}, "where", "'disk' is not one of executable"),
        ({"patterns": {}}, "patterns", "1 to 64 names"),
        ({"patterns": {True: "abcdef"}}, "patterns", "quote a number"),
        ({"patterns": {"a": "abc"}}, "patterns.a", "4 fixed bytes"),
        ({"condition": 9}, "condition", "9 of 4 patterns; use 1 to 4"),
        ({"condition": 0}, "condition", "use 1 to 4"),
        ({"condition": "most"}, "condition", "all, any, how many"),
        ({"condition": []}, "condition", "all, any, how many"),
        ({"condition": [{"at_least": 1}]}, "condition", "at_least: 2, of"),
        ({"condition": [{"at_least": 1, "of": ["z"]}]}, "condition", "no pattern 'z'"),
        ({"condition": "any"}, "condition", "may be a coincidence"),
        ({"near": 5}, "near", "64 to"),
        ({"near": "far"}, "near", "64 to"),
        ({"not": ["x"]}, "not", "unknown key"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, t.Any], part: str, says: str) -> None:
    with pytest.raises(SignatureError) as raised:
        compile_signature(signature(**changes))
    assert raised.value.part == part
    assert says in raised.value.reason


@pytest.mark.parametrize("given", [None, {}, "x", [None], [[]], [signature(), signature()], [signature()] * 2001])
def test_a_payload_that_lies_is_an_error_of_usage(given: t.Any) -> None:
    with pytest.raises(UsageError):
        Matcher.from_payload(given)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["all", "a", "b"]),
    lambda one: (
        st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["a", "at_least", "of", "hex"]), one, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted([*signature(), "condition", "near", "attack", "severity"])), _ANYTHING))
def test_any_change_is_taken_or_refused(changes: dict[str, t.Any]) -> None:
    with contextlib.suppress(UsageError):
        Matcher.from_payload([{**signature(), **changes}]).scan("executable", lambda: iter(((0, text("a", "b")),)))
