# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YARA rules on files and copies of memory, with the real yara, and what it prints where somebody chose that."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools import yara
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Sign
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.memory_scan._memory import FakeView, mapping

_RULES = """
rule hidden_word : of_ours { strings: $word = "xyzzy-plugh" condition: $word }
rule is_program { condition: uint32(0) == 0x464c457f }
"""
_HEAP = mapping(0x10000, 80 << 20, "rw-p", b"[heap]")


@dataclasses.dataclass
class FakeHost:
    yara_rules: tuple[str, ...]
    seconds: float = 60
    kept: dict[t.Hashable, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def options(self) -> t.Any:
        return types.SimpleNamespace(yara_rules=self.yara_rules)

    def seconds_left(self) -> float:
        return self.seconds

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]


@pytest.fixture
def rules(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "own.yar"
    path.write_text(_RULES)
    return str(path)


def of_memory(view: FakeView, host: FakeHost) -> list[Sign]:
    ranges = [found for one in view.maps for found in view.pages(one).present]
    return list(yara.of_memory(view, host, ranges))  # type: ignore[arg-type]


@pytest.mark.requires("command:yara")
@pytest.mark.parametrize("at", [0, 4097, (32 << 20) - (1 << 18) - 5, (32 << 20) - 6, (40 << 20) + 11])
def test_a_match_in_memory_has_its_place(rules: str, at: int) -> None:
    content = bytes(at) + b"xyzzy-plugh"
    view = FakeView([(_HEAP, content + bytes(-len(content) % 4096))])
    (sign,) = of_memory(view, FakeHost((rules,)))
    assert (sign.subtype, sign.data) == ("yara_match", {"rule": "hidden_word"})
    (memory,) = sign.memory
    assert (memory.signature, memory.offset) == ("hidden_word: $word", at)
    assert view.skipped == []


@pytest.mark.requires("command:yara")
def test_an_executable_is_looked_at_once(rules: str, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF" + bytes(100) + b"xyzzy-plugh")
    host = FakeHost((rules,))
    for _again in range(2):
        signs = list(yara.of_executable(FakeView([], executable=program), host))  # type: ignore[arg-type]
        assert [sign.data["rule"] for sign in signs] == ["hidden_word", "is_program"]


@pytest.mark.requires("command:yara")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("rule broken { condition: nothing }", 'can\'t be used: error: rule "broken" in'),
        (None, "is not a file on this host"),
    ],
)
def test_rules_that_cannot_be_used_are_said_once(
    tmp_path: pathlib.Path, rules: str, content: str | None, says: str
) -> None:
    wrong = tmp_path / "wrong.yar"
    if content is not None:
        wrong.write_text(content)
    host = FakeHost((str(wrong), rules))
    view = FakeView([(_HEAP, b"xyzzy-plugh")])
    assert [sign.data["rule"] for sign in of_memory(view, host)] == ["hidden_word"]
    assert len(view.skipped) == 1
    assert says in view.skipped[0]
    again = FakeView([(_HEAP, b"xyzzy-plugh")])
    assert len(of_memory(again, host)) == 1
    assert again.skipped == []


def test_a_host_without_yara(rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yara, "program", lambda: None)
    view = FakeView([(_HEAP, b"xyzzy-plugh")])
    assert of_memory(view, FakeHost((rules,))) == []
    assert view.skipped == ["yara_rules: neither yara nor yr is on this host; install one of them"]


def test_without_rules_nothing_is_read() -> None:
    view = FakeView([(_HEAP, b"xyzzy-plugh")])
    assert of_memory(view, FakeHost(())) == []
    assert view.reads == 0


@pytest.mark.parametrize(
    ("said", "says"), [("exit 3", "it failed and said nothing"), ("echo '\x1b[31mno' >&2; exit 1", "\\x1b[31mno")]
)
def test_a_yara_that_fails_is_said(
    rules: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, said: str, says: str
) -> None:
    tool = tmp_path / "yara"
    tool.write_text(f"#!/bin/sh\ncase $1 in -w) exit 0;; esac\n{said}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(yara, "_PATH", str(tmp_path))
    view = FakeView([(_HEAP, b"xyzzy-plugh")])
    assert of_memory(view, FakeHost((rules,))) == []
    assert says in view.skipped[0]


def test_yara_x_is_used_as_it_wants_it(rules: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "yr"
    answer = (
        '{"path":"x","rules":[{"identifier":"hidden_word","strings":[{"identifier":"$word","offset":7,"match":"x"}]}]}'
    )
    tool.write_text(f"#!/bin/sh\necho \"$@\" >> {tmp_path}/asked\n[ $1 = compile ] || echo '{answer}'\n")
    tool.chmod(0o755)
    monkeypatch.setattr(yara, "_PATH", str(tmp_path))
    (sign,) = of_memory(FakeView([(_HEAP, b"1234567xyzzy-plugh")]), FakeHost((rules,)))
    assert [(memory.signature, memory.offset) for memory in sign.memory] == [("hidden_word: $word", 7)]
    compiling, scanning = (tmp_path / "asked").read_text().splitlines()
    assert compiling.startswith("compile --disable-warnings -o /proc/")
    assert scanning.startswith(
        "scan --output-format ndjson --print-strings=1 --disable-warnings --timeout 60 -C /proc/"
    )


def test_only_lines_of_yara_s_own_form_count() -> None:
    output = "one /proc/1/fd/3\n0x10:5:$a\n0xzz:5:$b\ntwo /etc/passwd\n0x1:1:$c: text\nthree /proc/1/fd/3\n0x20:1:$\n"
    assert yara.parse(output, "/proc/1/fd/3") == [
        yara.Match("one", (("$a", 16),)),
        yara.Match("three", (("$", 32),)),
    ]
    assert yara.parse("0x10:5:$a\n", "x") == []


@given(st.text(), st.text(max_size=8))
def test_any_output_is_read(output: str, target: str) -> None:
    yara.parse(output, target)
    yara.parse_modern(output)


_KEYS = st.sampled_from(["rules", "identifier", "strings", "offset", "path"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(_KEYS, one, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_of_yara_x_is_read(given_: t.Any) -> None:
    for match in yara.parse_modern(json.dumps(given_)):
        assert all(place >= 0 for _name, place in match.places)
