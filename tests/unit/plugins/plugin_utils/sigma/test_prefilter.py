# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a match can't do without: never more than that, or a detection is lost without a word."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Values
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.prefilter import prefilter
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.regex_literals import clauses, unbroken
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.sigma import rule, unfiltered, used


@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        ("abc", "", [["abc"]]),
        ("ABC", "", [["abc"]]),
        ("a.c", "", [["a"], ["c"]]),
        ("abc?d", "", [["abcd", "abd"]]),
        ("abc*d", "", [["ab"], ["d"]]),
        ("abc+d", "", [["abc"], ["d"]]),
        ("abc{2,}d", "", [["abc"], ["d"]]),
        ("abc{0,2}d", "", [["ab"], ["d"]]),
        ("abc{,2}d", "", [["ab"], ["d"]]),
        ("a{b", "", [["a{b"]]),
        ("ab|cd", "", [["ab", "cd"]]),
        ("ab|", "", []),
        ("x(?:ab|cd)y", "", [["xaby", "xcdy"]]),
        ("x(?:ab|cd)?y", "", [["xaby", "xcdy", "xy"]]),
        ("x(ab)+y", "", [["xab"], ["y"]]),
        ("x(ab)*y", "", [["x"], ["y"]]),
        (r"-(W|[Rr])\s", "", [["-r", "-w"]]),
        ("(?:ab|)(?:c|d?)", "", []),
        ("x(?:ab|c.)y", "", [["x"], ["ab", "c"], ["y"]]),
        ("(?P<n>ab)c", "", [["abc"]]),
        ("ab(?=cd)ef", "", [["abef"]]),
        ("ab(?!cd)ef", "", [["abef"]]),
        (r"\bab\b$", "", [["ab"]]),
        (r"a\.b\/c", "", [["a.b/c"]]),
        (r"a\sb", "", [["a"], ["b"]]),
        (r"a\tb", "", [["a\tb"]]),
        (r"a\x41b", "", [["a"], ["b"]]),
        ("a[bc]d", "", [["abd", "acd"]]),
        ("a[b-c]d", "", [["a"], ["d"]]),
        ("a[^bc]d", "", [["a"], ["d"]]),
        ("a[]b]c", "", [["a]c", "abc"]]),
        ("a[.]b", "", [["a.b"]]),
        ("a[^.]b", "", [["a"], ["b"]]),
        ("(?i)curl", "", [["curl"]]),
        ("wish", "i", [["w"], ["h"]]),
        ("(?x) a b", "", []),
        (r"(a)\1", "", []),
        ("a(?i:b)", "", []),
        ("caf\u00e9s", "", [["caf"], ["s"]]),
    ],
)
def test_the_literals_of_a_pattern(pattern: str, flags: str, expected: list[list[str]]) -> None:
    assert [sorted(clause) for clause in clauses(pattern, flags)] == expected


_ATOMS = st.sampled_from(
    ["a", "b", "K", "s", "I", "ab", ".", "[ab]", "[^a]", "[]x]", r"\.", r"\w", r"\s", r"\bb", "(ab)", "(?:a|b)",
     "(?:ab|ba|)", "(?:a(?:b|s)+)", "^", "$", "(?=a)", "(?!b)", "x{1}", "{"]
)  # fmt: skip
_REPEATED = st.tuples(_ATOMS, st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{0,1}", "{1,}", "+?"])).map("".join)
_PATTERNS = st.lists(st.one_of(_REPEATED, st.just("|")), max_size=7).map("".join)
_VALID_PATTERNS = _PATTERNS.filter(lambda pattern: _compiled(pattern) is not None)
_TEXTS = st.text(st.sampled_from("abKksSiIx.]{ \n\u0131\u017f\u212a"), max_size=12)


def _compiled(pattern: str, flags: int = 0) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern, flags)
    except re.error:
        return None


@settings(max_examples=400)
@given(_PATTERNS, st.sampled_from(["", "i", "m", "s"]), st.lists(_TEXTS, min_size=1, max_size=8))
@example("\u017f", "i", ["S"])
@example("sudo", "i", ["\u017fudo"])
@example("kill", "i", ["\u212aill"])
def test_every_text_that_a_pattern_finds_has_its_literals(pattern: str, flags: str, texts: list[str]) -> None:
    value = {"": 0, "i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}[flags]
    compiled = _compiled(pattern, value)
    if compiled is None:
        return
    found = clauses(pattern, flags)
    for text in texts:
        if compiled.search(text):
            lower = text.lower()
            assert all(any(literal in lower for literal in clause) for clause in found)
            assert max(map(len, text.split(" "))) >= unbroken(pattern, flags)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("x{20}", 20),
        ("x{20,}y{30,40}", 30),
        ("x{,20}", 0),
        (r"(?:^|\s)[48][0-9A-Z]{93}(?:$|\s)", 93),
        (r"[^\s]{40}", 40),
        (r"\S{40}", 40),
        (r"\W{40}", 0),
        (".{40}", 0),
        ("[a b]{40}", 0),
        ("(?:x{20}|y{30})", 20),
        ("(?:x{20}|y)", 0),
        ("(?:x{20})?", 0),
        ("(?=x{20})", 0),
        ("x{20}(a", 0),
    ],
)
def test_how_many_characters_come_without_a_blank(pattern: str, expected: int) -> None:
    assert unbroken(pattern, "") == expected


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (["text", "Image", "endswith", ["/nc", "/ncat"]], [["base", "Image", ["nc", "ncat"]]]),
        (["text", "Image", "endswith", ["/bin/nc"]], [["base", "Image", ["nc"]]]),
        (["text", "type", "equals", ["EXECVE"]], [["equals", "type", ["execve"]]]),
        (["text", "CommandLine", "contains", ["nc"]], [["part", "CommandLine", ["nc"]]]),
        (["not", ["text", "Image", "endswith", ["/nc"]]], None),
        (["exists", "Image"], None),
        (["words", [], "contains", ["x"]], [["part", "*", ["x"]]]),
        (["or", [["text", "a", "equals", ["x"]], ["exists", "b"]]], None),
        (
            ["or", [["text", "a", "equals", ["x"]], ["text", "b", "equals", ["y"]]]],
            [["equals", "a", ["x"]], ["equals", "b", ["y"]]],
        ),
        (
            ["and", [["text", "type", "equals", ["execve"]], ["text", "a0", "equals", ["chattr"]]]],
            [["equals", "a0", ["chattr"]]],
        ),
    ],
)
def test_what_a_rule_cannot_match_without(node: list[t.Any], expected: list[t.Any] | None) -> None:
    assert prefilter(node) == expected


def test_of_a_text_the_rarest_characters_count() -> None:
    ((kind, field, (gram,)),) = prefilter(["text", "CommandLine", "contains", ["/usr/bin/xmrig"]]) or []
    assert (kind, field) == ("gram", "CommandLine")
    assert gram not in "/usr/bin/"


_FIELDS = st.sampled_from(["Image", "CommandLine", "Argv"])
_VALUES = st.text(st.sampled_from("abcS/ *?.-\u00e9"), min_size=1, max_size=7)
_MODIFIERS = st.sampled_from(
    ("", "|contains", "|startswith", "|endswith", "|contains|all", "|contains|cased", "|endswith|cased", "|windash")
)
_TEXT_ITEMS = st.tuples(st.tuples(_FIELDS, _MODIFIERS).map("".join), st.lists(_VALUES, min_size=1, max_size=3))
_REGEX_FIELDS = st.tuples(_FIELDS, st.sampled_from(["|re", "|re|i"])).map("".join)
_REGEX_ITEMS = st.tuples(_REGEX_FIELDS, st.lists(_VALID_PATTERNS, min_size=1, max_size=2))
_SEARCHES = st.one_of(
    st.lists(st.one_of(_TEXT_ITEMS, _REGEX_ITEMS), min_size=1, max_size=3).map(dict),
    st.lists(_VALUES.filter(lambda value: value.strip("*")), min_size=1, max_size=2),
)
_CONDITIONS = st.sampled_from(
    ("a", "a and b", "a or b", "a and not b", "not a", "a and (b or c)", "1 of them", "all of them")
)
_VIEWS = st.fixed_dictionaries(
    {},
    optional={
        "Image": _TEXTS,
        "CommandLine": st.text(st.sampled_from("abcS/ .-\u00e9\udcff"), max_size=80),
        "Argv": st.lists(st.text(st.sampled_from("abcS/ .-"), max_size=8), max_size=4),
    },
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(_SEARCHES, _SEARCHES, _SEARCHES, _CONDITIONS), min_size=1, max_size=6),
    st.lists(_VIEWS, min_size=1, max_size=6),
)
def test_rules_match_the_same_with_and_without_it(rules: list[t.Any], views: list[dict[str, t.Any]]) -> None:
    given_rules = [rule({"a": a, "b": b, "c": c, "condition": condition}) for a, b, c, condition in rules]
    payload = used(*given_rules)
    engine, plain = RuleSet(payload), unfiltered(payload)
    for view in views:
        assert engine.match("process_creation", view) == plain.match("process_creation", view)


@settings(max_examples=100, deadline=None)
@given(_SEARCHES, _SEARCHES, _SEARCHES, _CONDITIONS, _VIEWS, st.sets(st.sampled_from(("Image", "CommandLine", "Argv"))))
def test_what_is_left_of_a_rule_for_known_fields_says_the_same(
    a: t.Any, b: t.Any, c: t.Any, condition: str, view: dict[str, t.Any], known: set[str]
) -> None:
    engine = RuleSet(used(rule({"a": a, "b": b, "c": c, "condition": condition})))
    ((_number, whole),) = engine.checks([0])
    left = engine.rest(0, Values(view), known)
    assert (left is not None and left(Values(view))) == whole(Values(view))
