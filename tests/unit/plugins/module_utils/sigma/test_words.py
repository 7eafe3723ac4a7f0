# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found in command lines word by word is what is in them."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma import conditions
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.lines import Lines
from hypothesis import given

TEXTS = st.text(alphabet="ab- /é12", max_size=12)
LITERALS = st.lists(st.text(alphabet="ab- /é12", min_size=1, max_size=6), min_size=1, max_size=12, unique=True)


@given(LITERALS, st.lists(TEXTS, max_size=6))
def test_all_that_is_in_a_line_is_found(literals: list[str], lines: list[str]) -> None:
    asked: Lines[list[int]] = Lines()
    for place, literal in enumerate(literals):
        asked.add("CommandLine", 1 << place, "part", literal)
        asked.add("ParentCommandLine", 1 << place, "part", literal)
    asked.seal(list)
    # Each twice: the second time its words are known.
    for line in lines * 2:
        own, parent, grandparent = asked.found([word.encode() for word in line.split(" ")])
        assert own == parent
        assert grandparent == 0
        for place, literal in enumerate(literals):
            found = bool(own >> place & 1)
            # Blanks at the ends of a line, and more than one, are not told apart.
            assert found or literal not in line
            assert not found or literal in f" {line} " or "  " in literal or not literal.strip(" ")


@given(LITERALS, st.lists(TEXTS, max_size=6))
def test_arguments_with_blanks_are_found_as_in_the_line(literals: list[str], arguments: list[str]) -> None:
    asked: Lines[list[int]] = Lines()
    for place, literal in enumerate(literals):
        asked.add("CommandLine", 1 << place, "part", literal)
    asked.seal(list)
    line = " ".join(arguments)
    for _time in range(2):
        own, _parent, _grandparent = asked.found([argument.encode() for argument in arguments])
        assert all(own >> place & 1 for place, literal in enumerate(literals) if literal in line)


def test_arguments_as_a_whole_and_their_ends_are_found() -> None:
    asked: Lines[list[int]] = Lines()
    asked.add("Argv", 1, "equals", "-x")
    asked.add("Argv", 2, "base", "sh")
    asked.add("CommandLine", 4, "word", "10")
    asked.add("CommandLine", 8, "base", "id")
    asked.add("CommandLine", 16, "equals", "a b")
    asked.seal(list)
    for _time in range(2):
        assert asked.found([b"cat", b"-xx", b"bash"])[0] == 0
        assert asked.found([b"cat", b"-x"])[0] == 1
        assert asked.found([b"cat", b"-X", b"/bin/sh"])[0] == 3
        assert asked.found([b"cat", b"sh"])[0] == 2
        assert asked.found([b"cat", b"123456789 123456789"])[0] == 0
        assert asked.found([b"cat", b"1234567890"])[0] == 4
        assert asked.found([b"sudo", b"/bin/id"])[0] == 8
        assert asked.found([b"a", b"b"])[0] == 16
        assert asked.found([b"a" * 300])[0] == 4


def test_more_arguments_than_are_kept_are_found() -> None:
    asked: Lines[list[int]] = Lines()
    asked.add("CommandLine", 1, "part", "evil")
    asked.seal(list)
    assert asked.found([b"%d" % number for number in range(45_000)] + [b"-evil"])[0] == 1
    assert len(asked._known) <= 40_000
    for number in range(45_000):
        assert asked.found([b"x%d" % number, b"evil" if number % 2 else b"good"])[0] == number % 2
    assert len(asked._known) <= 40_000


PATTERNS = ("(?:^|[ab])a", "(?:^|[^a-])b+", r"(?:^|[\s/])a", "(?:^|[a])*b", "(?:^|[a]|-)b", "(?:^|[ab])a|b-")


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.text(alphabet="ab- /\n", max_size=8))
def test_a_pattern_that_begins_with_the_beginning_is_found_in_the_same_texts(pattern: str, text: str) -> None:
    check = conditions.condition(["regex", "Field", [[pattern, ""]]])
    assert check(conditions.Values({"Field": text})) is bool(re.search(pattern, text))
