# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of the user's: what is taken, and what is said of what is wrong."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_search import (
    Matcher,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import signatures

_GOOD = """\
---
id: our_tool
title: A tool of ours
family: our_tool
kind: attack_tool
description: Nobody should run it here.
attack: [T1059]
where: [executable]
patterns:
  banner: the banner of our own tool
"""


def written(directory: pathlib.Path, text: str, name: str = "own.yml") -> str:
    (directory / name).write_text(text, encoding="utf-8")
    return str(directory / name)


def test_a_signature_of_the_user_is_taken(tmp_path: pathlib.Path) -> None:
    loaded = signatures.read([written(tmp_path, _GOOD)], own=False)
    assert loaded.problems == []
    (one,) = loaded.signatures
    assert one["id"] == "our_tool"
    assert "description" not in one
    assert Matcher.from_payload(loaded.signatures).count == 1
    assert signatures.load([str(tmp_path)], own=False) == loaded


def test_with_the_collection_s_they_are_all_used(tmp_path: pathlib.Path) -> None:
    own = signatures.read()
    both = signatures.read([written(tmp_path, _GOOD), str(tmp_path)])
    assert len(both.signatures) == len(own.signatures) + 1
    assert both.problems == []


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            _GOOD.replace("the banner of our own tool", "abc"),
            10,
            "signature our_tool: patterns.banner: it needs 4 fixed",
        ),
        (_GOOD.replace("[T1059]", "[T9999]"), 7, "attack: T9999 is not known here; leave it out"),
        (_GOOD.replace("attack_tool", "virus"), 5, "signature our_tool: kind: 'virus' is not one of miner"),
        (_GOOD.replace("our_tool", "xmrig"), 2, "signature xmrig: there is one of this id already; rename it"),
        (_GOOD + "condition: 5\n", 11, "it requires 5 of 1 patterns; use 1 to 1"),
        (_GOOD + "id: twice\n", 11, "the key 'id' is there twice"),
        ("- a list\n", 1, "a rule is a mapping"),
        ("a: [\n", 2, "no valid YAML"),
        ("id: [x]\n", 1, "id: it is"),
    ],
)
def test_one_that_is_wrong_takes_down_no_other(tmp_path: pathlib.Path, text: str, line: int, says: str) -> None:
    wrong = written(tmp_path, text, "wrong.yml")
    good = written(tmp_path, _GOOD.replace("our_tool", "other_tool"), "good.yml")
    loaded = signatures.read([wrong, good])
    assert any(one["id"] == "other_tool" for one in loaded.signatures)
    (problem,) = loaded.problems
    assert problem.startswith(f"{wrong}, line {line}: ")
    assert says in problem


def test_what_is_wrong_is_warned_of(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(signatures.Display, "warning", lambda _self, text: warnings.append(text))
    bad = "---\n".join(f"id: tool_{number}\n" for number in range(8))
    assert signatures.load([written(tmp_path, bad)], own=False).signatures == []
    assert len(warnings) == 6
    assert warnings[-1] == "signature_paths: 3 more signatures can't be used"


def test_paths_that_are_wrong(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ContentError, match=r"signature_paths: /no/such cannot be read: No such file"):
        signatures.read(["/no/such"])
    with pytest.raises(ContentError, match=r"there is no \.yml file below"):
        signatures.read([str(tmp_path)])


def test_too_many_are_refused(tmp_path: pathlib.Path) -> None:
    many = "".join(_GOOD.replace("our_tool", f"tool_{number}") for number in range(2001))
    with pytest.raises(ContentError, match="use 2000 or fewer"):
        signatures.read([written(tmp_path, many)], own=False)


def test_a_file_that_is_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.yml").write_text("x" * (1 << 21))
    loaded = signatures.read([str(tmp_path)], own=False)
    assert loaded.signatures == []
    assert len(loaded.problems) == 2


def test_each_technique_of_ours_is_listed() -> None:
    known = catalogue.load().techniques
    assert {technique for one in signatures.read().signatures for technique in one["attack"]} <= known
