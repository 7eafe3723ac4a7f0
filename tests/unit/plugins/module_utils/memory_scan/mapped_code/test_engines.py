# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines are recognised by what is in their files, and explain only what they make."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import engines
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content

from tests.support import require
from tests.unit.plugins.module_utils.memory_scan import _memory

BASE = 0x7F0000000000
# Nobody has the address of what these make: that is about engines that run, in test_running.py.
_UNSEEN = {"held": [], "calls": False}
_CONTENT: list[dict[str, t.Any]] = [
    {
        "id": "by_names",
        **_UNSEEN,
        "name": "Names",
        "marks": [{"names": ["engine_new", "engine_run"]}],
        "memory": [{"kind": "anonymous", "permissions": ["rwx"], "step": 65536, "most": 1 << 20}],
    },
    {
        "id": "by_texts",
        **_UNSEEN,
        "name": "Texts",
        "marks": [{"texts": ["an engine's text", "and another"]}],
        "memory": [{"kind": "memfd", "name": "jit", "permissions": ["r-x"]}],
    },
    {
        "id": "by_content",
        **_UNSEEN,
        "name": "Content",
        "marks": [{"names": ["engine_new"]}],
        "memory": [{"kind": "anonymous", "permissions": ["r-x"], "holds": "c0ffee"}],
    },
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a library with the symbols of one engine and the texts of another."""
    require("command:gcc")
    directory = tmp_path_factory.mktemp("engine")
    source, built = directory / "engine.c", directory / "node"
    source.write_text(
        "void engine_new(void) {} void engine_run(void) {}\n"
        'const char text[] = "an engine\'s text", other[] = "and another", room[1 << 19] = {1};\n'
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(built), str(source)], check=True)
    return built


def _explained(
    file: os.PathLike[str] | None, *regions: tuple[Mapping, bytes], known: t.Any = None
) -> dict[Mapping, str]:
    mapped = _memory.mapping(0x400000, 4096, "r-xp", b"/opt/engine", inode=77)
    view = _memory.FakeView([(mapped, b""), *regions], files={77: file} if file is not None else {})
    host = _memory.FakeHost(engines=_CONTENT if known is None else known)
    return {
        mapping: engine.id for mapping, engine in engines.explain(view, host, [one for one, _data in regions]).items()
    }


def test_code_is_explained_by_symbols_and_its_shape(library: pathlib.Path) -> None:
    fits = _memory.mapping(BASE, 65536, "rwxp")
    others = [
        _memory.mapping(BASE + (1 << 30), 65536 + 4096, "rwxp"),
        _memory.mapping(BASE + (2 << 30), 65536, "r-xp"),
        _memory.mapping(BASE + (3 << 30), 2 << 20, "rwxp"),
        _memory.mapping(BASE + (4 << 30), 65536, "rwxs", b"/dev/zero", inode=9, deleted=True),
    ]
    assert _explained(library, (fits, b"x"), *((one, b"x") for one in others)) == {fits: "by_names"}


def test_code_is_explained_by_texts_where_symbols_say_nothing(library: pathlib.Path) -> None:
    fits = _memory.mapping(BASE, 4096, "r-xs", b"/memfd:jit-code", inode=9, deleted=True)
    other = _memory.mapping(BASE + 8192, 4096, "r-xs", b"/memfd:payload", inode=10, deleted=True)
    assert _explained(library, (fits, b"x"), (other, b"x")) == {fits: "by_texts"}


def test_code_is_explained_by_what_it_begins_with(library: pathlib.Path) -> None:
    fits = _memory.mapping(BASE, 4096, "r-xp")
    other = _memory.mapping(BASE + 8192, 4096, "r-xp")
    assert _explained(library, (fits, b"..\xc0\xff\xee"), (other, b"\xc0\xff")) == {fits: "by_content"}


def test_a_name_alone_explains_nothing(tmp_path: pathlib.Path) -> None:
    require("command:gcc")
    built = tmp_path / "node"
    subprocess.run(["gcc", "-x", "c", "-o", str(built), "-"], input=b"int main(void) { return 0; }", check=True)
    region = _memory.mapping(BASE, 65536, "rwxp")
    real = catalogue.read(content.DIRECTORY / "engines.yml")
    assert _explained(built, (region, b"x"), known=real) == {}


@pytest.mark.parametrize(
    "data",
    [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 200, bytes(range(256)) * 16],
    ids=["empty", "script", "cut", "lying", "random"],
)
def test_files_that_lie_explain_nothing(data: bytes, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(data)
    assert _explained(tmp_path / "file", (_memory.mapping(BASE, 65536, "rwxp"), b"x")) == {}


def test_a_file_that_is_cut_explains_nothing_wrong(library: pathlib.Path, tmp_path: pathlib.Path) -> None:
    whole = library.read_bytes()
    for size in range(0, 4096, 61):
        (tmp_path / "file").write_bytes(whole[:size])
        _explained(tmp_path / "file", (_memory.mapping(BASE, 65536, "rwxp"), b"x"))


def test_a_file_that_can_t_be_opened_explains_nothing() -> None:
    assert _explained(None, (_memory.mapping(BASE, 65536, "rwxp"), b"x")) == {}


def test_a_file_is_searched_once_in_a_scan(library: pathlib.Path) -> None:
    host = _memory.FakeHost(engines=_CONTENT)
    region = _memory.mapping(BASE, 65536, "rwxp")
    opened = []
    for start in (0x400000, 0x500000, 0x600000):
        mapped = _memory.mapping(start, 4096, "r-xp", b"/opt/engine", inode=77)
        view = _memory.FakeView([(mapped, b""), (region, b"x")], files={77: library})
        assert len(engines.explain(view, host, [region])) == 1
        opened.append(view.opened)
    assert opened[0] > 0
    assert opened[1:] == [0, 0]


@pytest.mark.parametrize(
    ("path", "inode", "deleted", "kind"),
    [
        (b"", 0, False, "anonymous"),
        (b"[heap]", 0, False, "anonymous"),
        (b"/memfd:jit", 7, True, "memfd"),
        (b"/dev/zero", 7, True, "shared"),
        (b"/SYSV00000000", 7, True, "shared"),
        (b"/tmp/ffiAbCdEf", 7, True, "removed"),
        (b"/usr/lib/libc.so.6", 7, False, None),
        (b"/dev/zero", 7, False, None),
    ],
)
def test_memory_without_a_file_is_of_a_kind(path: bytes, inode: int, deleted: bool, kind: str | None) -> None:
    assert engines.kind_of(_memory.mapping(BASE, 4096, "r-xp", path, inode, deleted=deleted)) == kind


def test_the_content_is_sound() -> None:
    known = engines.parse(catalogue.read(content.DIRECTORY / "engines.yml"))
    assert len({engine.id for engine in known}) == len(known)
    for engine in known:
        assert engine.marks, engine.id
        assert engine.shapes, engine.id
        for mark in engine.marks:
            assert mark.names or mark.texts, engine.id
        for shape in engine.shapes:
            assert shape.memory in engines.MEMORY
            assert all(len(one) == 3 and one[2] == "x" for one in shape.permissions), engine.id
            # A removed file, and memory with a name, could be anybody's.
            assert shape.memory != engines.MEMFD or shape.name or engine.id == "wine", engine.id


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "x"},
        {"id": "x", "name": "X", "marks": [{"names": ["ab"]}], "memory": []},
        {"id": "x", "name": "X", "marks": [], "memory": [{"kind": "disk", "permissions": []}]},
        {"id": "x", "name": "X", "marks": [], "memory": [{"kind": "memfd", "permissions": [], "holds": "xy"}]},
        {"id": "x", "name": "X", "marks": [], "memory": [], "held": ["nobody"]},
        {"id": "x", "name": "X", "marks": [], "memory": [{"kind": "memfd", "permissions": [], "layout": "other"}]},
    ],
)
def test_content_that_is_none_is_refused(entry: dict[str, t.Any]) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        engines.parse([entry])
