# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finding is about, in words."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.wording import subject_of

from tests.support.sigma import rule, used

_RULES = RuleSet(
    used(
        rule({"any": {"Image": "/usr/bin/bash"}, "condition": "any"}, bulwark={"subject": ["User", "CommandLine"]}),
    )
)


def subject(line: str) -> str:
    return subject_of(_RULES.rule(0), {"User": "root", "Image": "/usr/bin/bash", "CommandLine": line})


def test_a_short_command_is_whole() -> None:
    assert subject("x" * 200) == "A rule: root " + "x" * 200


def test_long_commands_that_begin_and_end_the_same_are_not_the_same() -> None:
    start, end = "bash -c " + "a" * 300, "z" * 300
    first, second = subject(f"{start} one {end}"), subject(f"{start} two {end}")
    assert first != second
    assert first == subject(f"{start} one {end}")
    for each in (first, second):
        assert each.startswith("A rule: root bash -c aaa")
        assert len(each) < 240


def test_the_digest_of_a_long_command_tells_nothing_of_a_password() -> None:
    command = "bash -c " + "a" * 300 + " mysql --password={} db"
    assert subject(command.format("secret1")) == subject(command.format("other22"))
