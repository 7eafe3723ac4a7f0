# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule files: their order, what they are compiled to, and rules of others."""

from __future__ import annotations

import subprocess

import hypothesis
import hypothesis.strategies as st
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import rules

NAMES = ["00-bulwark", "0", "10-languages", "9-x", "a10", "a9", "A", "b.c", "b", "~x", "00", "001", "z-1.2", "z-1.10"]


@hypothesis.given(st.lists(st.text("0129aB~.-_", min_size=1, max_size=8).map("x{}.rules".format), unique=True))
def test_order_is_that_of_ls(names: list[str]) -> None:
    listed = subprocess.run(
        ["sort", "-V"], input="\n".join(names), capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
    ).stdout.split()
    assert rules.in_order(names) == listed


def test_our_file_comes_first_of_usual_ones() -> None:
    names = [f"{name}.rules" for name in NAMES if name not in ("~x", "0", "00")]
    assert rules.in_order(names)[0] == "00-bulwark.rules"


@hypothesis.given(st.lists(st.text("\n #sab", max_size=12).map(str.encode), max_size=4))
def test_each_compiled_line_is_found_where_it_is_from(texts: list[bytes]) -> None:
    for awk in ("/usr/bin/mawk", "/usr/bin/gawk"):
        compiled = rules.compiled(texts, awk).splitlines()
        assert rules.source(texts, 1, awk) is None
        assert rules.source(texts, len(compiled) + 1, awk) is None
        for number, line in enumerate(compiled[1:], 2):
            source = rules.source(texts, number, awk)
            assert source is not None
            index, row = source
            from_there = b"\n".join(texts[index].split(b"\n")[row - 1 :]) + b"".join(texts[index + 1 :])
            assert from_there.split(b"\n")[0] == line


def test_conflicts_are_named() -> None:
    text = "%a=b\n# x\nallow perm=any all : dir=/tmp/\ndeny perm=execute all : all\n"
    before, after = rules.conflicts([("0.rules", text)], []), rules.conflicts([], [("90.rules", text)])
    assert len(before) == 2
    assert before[0] == "0.rules decides before the allowlist: allow perm=any all : dir=/tmp/"
    assert len(after) == 1
    assert after[0].startswith("90.rules is never asked")
    assert after[0].endswith(": deny perm=execute all : all")


def test_values_have_no_escapes() -> None:
    assert rules.is_value("/opt/app-1.2+x=y:z%")
    assert not any(rules.is_value(text) for text in ("", "/a b", "/a,b", "/a\n", "/a\tb"))
