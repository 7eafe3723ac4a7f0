# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run others: the collection's list, and lists that are wrong."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import risky
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (Program("program", "/usr/bin/python3.11", package="python3.11-minimal"), "any code"),
        (Program("program", "/usr/bin/lua5.4"), "any code"),
        (Program("program", "/usr/bin/clang-14"), "makes a new program"),
        (Program("program", "/usr/bin/bash"), "a shell"),
        (Program("program", "/usr/bin/7z"), "copies, packs or reads"),
        (Program("program", "/usr/lib/nmap/other", package="nmap"), "attack hosts"),
        (Program("script", "/usr/bin/gcore-all", package="gdb"), "memory of other processes"),
        (Program("program", "/usr/sbin/nginx", package="nginx"), ""),
    ],
)
def test_the_list_says_what_programs_are_good_for(program: Program, words: str) -> None:
    use = risky.load().use_of(program)
    assert words in use
    assert bool(words) == bool(use)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "risky.yml is not a list"),
        ([{"programs": ["x"]}], "entry 1 has other fields"),
        ([{"program": ["x"], "use": "y"}], "entry 1 has other fields"),
        ([{"programs": ["/bin/x"], "use": "y"}], "entry 1 has a name in programs that is none"),
        ([{"programs": ["x"], "use": "y"}, {"programs": ["x"], "use": "z"}], "x is twice in programs"),
    ],
)
def test_a_wrong_entry_is_named(content: t.Any, message: str) -> None:
    with pytest.raises(ContentError, match=message):
        risky.parse(content, "risky.yml")
