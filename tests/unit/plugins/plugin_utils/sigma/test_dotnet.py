# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions for Windows hosts; tests/unit/windows/test_sigma.py compares what .NET finds."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet import for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet_conditions import condition_for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import UnusableError


@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        (r"(?i)^a\.exe$", "", r"(?i)^a\.exe$"),
        (r"a\Z", "", r"a(?![\s\S])"),
        (r"(?P<name>a)b(?P=name)", "", r"(a)b(?:\1)"),
        (r"(a)\10", "", None),
        (r"a++b?+", "", r"(?>a+)(?>b?)"),
        (r"[^a]*+", "", r"(?>[^a]*)"),
        (r"a{,3}b{2}c{2,}d{1,2}?", "", r"a{0,3}b{2}c{2,}d{1,2}?"),
        (r"a{b}{", "", r"a\{b\}\{"),
        (r"\s\S", "", r"[\s\x1c-\x1f][^\s\x1c-\x1f]"),
        (r"[^\s,]", "", r"[^\s\x1c-\x1f,]"),
        (r"[a\S]", "", r"(?:[a]|[^\s\x1c-\x1f])"),
        (r"[^\S\n]", "", r"(?:(?![\x0a]|[^\s\x1c-\x1f])[\s\S])"),
        (r"[a-z-[x]", "", r"[a-z\-\[x]"),
        (r"[]^]", "", r"[\]\^]"),
        (r"\x41\101\0\u0062\N{LATIN SMALL LETTER C}\_\-", "", r"AA\x00bc_-"),
        (r"[\x80-\U0010ffff]", "", r"(?:[^\x00-\x7f])"),
        (r"[^ab\x80-\U0010ffff]", "", r"(?:(?![ab]|[^\x00-\x7f])[\s\S])"),
        ("\u212a\u017f\u00c4", "i", "ks\u00e4"),
        ("\u212a\u017f\u00c4", "", "\u212a\u017f\u00c4"),
        ("[\u00c0-\u00c2\u0131]", "i", "[i\u00e0-\u00e2]"),
        (r"a.*bc.*d+.*e", "", r"a(?>.*?bc).*?d+.*?e"),
        (r"a.+b.*?c", "s", r"a.(?>.*?b).*?c"),
        (r"a.*\s.*\D.*[^b].*\w.*c", "", r"a.*?[\s\x1c-\x1f].*?\D.*?[^b](?>.*?\w).*?c"),
        (r"a.*\s.*c", "s", r"a(?>.*?[\s\x1c-\x1f]).*?c"),
        (r"a.*(?s:.).*(?:b|\n).*(?:b|d).*c", "", r"a.*?(?s:.).*?(?:b|\x0a)(?>.*?(?:b|d)).*?c"),
        (r"(a.*b|c).*d", "", r"(a.*b|c).*?d"),
        (r"(a)(?<=\1)b", "", r"(a)(?<=(?:\1))b"),
        (r"(a).*b.*\1", "", r"(a).*b.*(?:\1)"),
    ],
)
def test_an_expression_becomes_one_that_both_read_the_same(pattern: str, flags: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(re.error):
            re.compile(pattern)
        return
    assert for_dotnet(pattern, flags) == expected
    re.compile(expected)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a(?i:b)", "(?i: is for a part of it; write (?i) at its beginning"),
        ("(?i)a(?-i:b)", "(?-i: is for a part of it"),
        ("(?x) a", "(?x) is nothing that both know"),
        ("(?a)\\w", "(?a) is nothing that both know"),
        ("(a)?(?(1)b|c)", "is nothing that both know"),
        ("\U0001f600", "U+1F600"),
        ("[a-\U0001f600]", "U+D800"),
        ("[\\x80-\\uffff]", "U+D800"),
        ("\\w\u0301", "U+0301"),
        ("\\\\w\u0301", "U+0301"),
        ("a\\Z\u0301", "U+0301"),
        ("a{5000000000}", None),
    ],
)
def test_what_can_not_be_the_same_is_refused(pattern: str, reason: str | None) -> None:
    if reason is None:
        with pytest.raises(OverflowError):
            re.compile(pattern)
        return
    re.compile(pattern)
    with pytest.raises(UnusableError, match=re.escape(reason)) as refused:
        for_dotnet(pattern, "")
    assert str(refused.value).startswith("a regular expression can't be used on Windows: ")
    assert refused.value.part == "detection"


def test_a_mark_is_refused_only_beside_words() -> None:
    assert for_dotnet("a\u0301", "") == "a\u0301"


def test_only_expressions_of_a_condition_are_rewritten() -> None:
    like = ["text", "A", "like", [r"\Aa\Z"]]
    searched = [
        "and",
        [like, ["not", ["regex", "A", [[r"a\Z", "i"]]]], ["or", [["patterns", [], [["b", ""]]], ["exists", "B"]]]],
    ]
    rewritten = ["and", [like, ["not", ["regex", "A", [[r"a(?![\s\S])", "i"]], [[["a"]]]]], searched[1][2]]]
    assert condition_for_dotnet(searched) == rewritten


def test_what_the_reader_of_the_payload_refuses_costs_that_rule_only() -> None:
    assert condition_for_dotnet(["number", "N", ">", 2**63 - 1]) == ["number", "N", ">", 2**63 - 1]
    with pytest.raises(UnusableError, match="too large"):
        condition_for_dotnet(["number", "N", ">", 2**63])
    node: list[t.Any] = ["exists", "A"]
    for _level in range(89):
        node = ["not", node]
    assert condition_for_dotnet(node) == node
    with pytest.raises(UnusableError, match="too deeply"):
        condition_for_dotnet(["not", node])


def test_texts_that_a_match_contains_go_with_it() -> None:
    patterns = [["(AB|cd).*wxyz", "i"], [".", ""], ["|".join(f"{n:03}" for n in range(50)), ""]]
    *_node, literals = condition_for_dotnet(["regex", "A", patterns])
    assert literals == [[["wxyz"], ["ab", "cd"]], [], []]
