# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found in command lines word by word is what is in them."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma import conditions
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.words import Words
from hypothesis import given

TEXTS = st.text(alphabet="ab- /é", max_size=12)
LITERALS = st.lists(st.text(alphabet="ab- /é", min_size=1, max_size=6), min_size=1, max_size=12, unique=True)


@given(LITERALS, st.lists(TEXTS, max_size=6))
def test_all_that_is_in_a_line_is_found_and_nothing_else(literals: list[str], lines: list[str]) -> None:
    words = Words()
    for place, literal in enumerate(literals):
        words.add(literal, 1 << place)
    words.seal(len(literals))
    # Each twice: the second time its words are known.
    for line in lines * 2:
        expected = sum(1 << place for place, literal in enumerate(literals) if literal in line)
        assert words.found(line, line.split(" ")) == expected


PATTERNS = ("(?:^|[ab])a", "(?:^|[^a-])b+", r"(?:^|[\s/])a", "(?:^|[a])*b", "(?:^|[a]|-)b", "(?:^|[ab])a|b-")


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.text(alphabet="ab- /\n", max_size=8))
def test_a_pattern_that_begins_with_the_beginning_is_found_in_the_same_texts(pattern: str, text: str) -> None:
    check = conditions.condition(["regex", "Field", [[pattern, ""]]])
    assert check(conditions.Values({"Field": text})) is bool(re.search(pattern, text))
