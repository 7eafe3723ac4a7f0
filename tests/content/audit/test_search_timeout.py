# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions of the collection's rules, with texts that are made to take them long.

A rule whose expression is given up does not match, which an attacker could want. The usual reason is a repetition next
to another one that takes the same characters: ``\\s+(.*\\s)?x`` tries all ways to share out the blanks between the
two, where ``\\s(.*\\s)?x`` says the same and has one way.
"""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.search_timeout import TooLongError, limited
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.nodes import patterns_in
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import PLATFORMS

# What takes time with the square of this is far from being given up, and what takes its cube is.
_SIZE = 2048
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
_PIECES = (
    "a",
    "/",
    " ",
    "\t",
    "-",
    ". ",
    "a/",
    "a ",
    "-a ",
    '"',
    "=",
    "a=",
    "0",
    "|",
    ";",
    "a.",
    "\\",
    "a\\",
    "C:\\",
    "%",
    "^",
)


def texts(pattern: str) -> t.Iterator[str]:
    words = list(dict.fromkeys(re.findall(r"[A-Za-z0-9_./-]{2,}", pattern)))[:5]
    pieces = [*_PIECES, *words, *(f"{word} " for word in words), *(f"{word} -a " for word in words[:3])]
    for piece in pieces:
        for before in ("", *(f"{word} " for word in words[:2])):
            yield (before + piece * (_SIZE // len(piece)))[:_SIZE] + "\1"


def is_slow(pattern: str, flags: str) -> bool:
    value = 0
    for flag in flags:
        value |= _FLAGS[flag]
    expression = re.compile(pattern, value)
    return any(_takes_too_long(expression, text) for text in texts(pattern))


def _takes_too_long(expression: re.Pattern[str], text: str) -> bool:
    # A processor that others use, too, is at times half as quick: what takes too long does so each time.
    for _attempt in range(3):
        try:
            limited(expression.search)(text)
        except TooLongError:
            continue
        return False
    return True


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_expression_takes_long_for_any_text(platform: str) -> None:
    compiled = _payload.unpack(detections.load(platform=platform).payload)
    # Many rules have the same expressions.
    rules = {
        (pattern, flags): rule["title"]
        for rule in compiled["rules"]
        for pattern, flags in patterns_in(rule["condition"])
    }
    slow = {f"{title}: {pattern}" for (pattern, flags), title in rules.items() if is_slow(pattern, flags)}
    assert slow == set()


@pytest.mark.parametrize(("pattern", "expected"), [(r"(?:a+)+b", True), (r"^nft\s(.*\s)?flush x", False)])
def test_a_slow_expression_is_told_from_a_fast_one(pattern: str, expected: bool) -> None:
    assert is_slow(pattern, "") is expected
