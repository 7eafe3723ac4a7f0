# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""BusyBox in a list of programs is what the list names beside it, and all that it can be where it stands alone."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

from tests.support.sigma import compiled, rule

LISTS = {"clocks": ["/date", "/busybox", "/coreutils"]}


def matches(detection: t.Mapping[str, t.Any], *arguments: str, own: bool = True, image: str = "/bin/busybox") -> bool:
    given = rule(detection, bulwark={"alert": "some_alert"}, id="01234567-89ab-4cde-8f01-23456789abcd")
    compilation = compiled(given, own=own, lists=LISTS)
    assert not compilation.problems, [str(problem) for problem in compilation.problems]
    engine = RuleSet(json.loads(json.dumps(compilation.payload)))
    view = {"Image": image, "CommandLine": " ".join(arguments), "Argv": list(arguments)}
    return bool(list(engine.match("process_creation", view)))


LISTED = {"s": {"Image|endswith": ["/date", "/busybox", "/coreutils"]}, "condition": "s"}
EXPANDED = {"s": {"Image|endswith|expand": "%clocks%"}, "condition": "s"}


@pytest.mark.parametrize("detection", [LISTED, EXPANDED])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("date", "-s", "1"), True),
        (("/bin/date",), True),
        (("-date",), True),
        (("busybox", "date"), True),
        (("/tmp/busybox.static", "/x/date"), True),
        (("/tmp/a b/date",), True),
        (("/tmp/a b/busybox", "/x y/date"), True),
        (("cmp", "-s", "a"), False),
        (("dates",), False),
        (("busybox", "cat", "date"), False),
        (("ls", "date"), False),
    ],
)
def test_busybox_in_a_list_is_what_is_beside_it(
    detection: t.Mapping[str, t.Any], arguments: tuple[str, ...], expected: bool
) -> None:
    assert matches(detection, *arguments) is expected


def test_coreutils_in_a_list_is_what_is_beside_it() -> None:
    several = "/usr/bin/coreutils"
    assert matches(LISTED, "coreutils", "--coreutils-prog-shebang=date", "/usr/bin/date", image=several)
    assert not matches(LISTED, "coreutils", "--coreutils-prog-shebang=ls", "/usr/bin/ls", image=several)


def test_the_others_of_the_list_are_as_before() -> None:
    assert matches(LISTED, "anything", image="/usr/bin/date")


@pytest.mark.parametrize("programs", ["/busybox", ["/busybox", "/toybox"]])
def test_alone_it_is_all_that_it_can_be(programs: str | list[str]) -> None:
    assert matches({"s": {"Image|endswith": programs}, "condition": "s"}, "cmp", "-s")


def test_two_searches_are_no_list() -> None:
    detection = {"a": {"Image|endswith": ["/date", "/x"]}, "b": {"Image|endswith": "/busybox"}, "condition": "a or b"}
    assert matches(detection, "cmp")


def test_a_user_s_rule_means_what_it_says() -> None:
    assert matches(LISTED, "cmp", own=False)
