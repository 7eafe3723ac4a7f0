# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that runs has the address of what it makes, and what it makes calls it."""

from __future__ import annotations

import struct
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import running, sljit
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Range

from tests.unit.plugins.module_utils.memory_scan import _memory

_STATICS, _HEAP, _CODE, _FILE = 0x500000, 0x7F1000000000, 0x7F2000000000, 0x400000
_REGION = _memory.mapping(_CODE, 65536, "rwxp")
_TEXT = _memory.mapping(_FILE, 4096, "r-xp", b"/opt/engine", inode=7)


def _view(statics: int, heap: bytes = b"") -> _memory.FakeView:
    return _memory.FakeView(
        [
            (_TEXT, b""),
            (_memory.mapping(_STATICS, 4096, "rw-p"), bytes(24) + struct.pack("<Q", statics)),
            (_memory.mapping(_HEAP, 8192, "rw-p", b"[heap]"), heap),
            (_REGION, b"x"),
        ]
    )


@pytest.mark.parametrize(
    ("statics", "heap", "steps", "found"),
    [
        (_CODE + 40, b"", 1, True),
        (_CODE + 65536, b"", 3, False),
        (_HEAP, struct.pack("<Q", _CODE), 2, True),
        (_HEAP, struct.pack("<Q", _CODE), 1, False),
        (_HEAP, bytes(2048) + struct.pack("<Q", _CODE), 3, False),
        (_HEAP, struct.pack("<Q", _HEAP + 4096).ljust(4096, b"\0") + struct.pack("<Q", _CODE), 3, True),
        (_HEAP, struct.pack("<Q", _HEAP + 4096).ljust(4096, b"\0") + struct.pack("<Q", _CODE), 2, False),
        (_HEAP, struct.pack("<Q", _HEAP), 9, False),
    ],
)
def test_code_is_reached_from_an_engine_s_data(statics: int, heap: bytes, steps: int, found: bool) -> None:
    data = [Range(_STATICS, _STATICS + 4096)]
    assert running.reached(_view(statics, heap), data, [_REGION], steps) == ({_REGION} if found else set())


def test_a_list_of_places_is_followed_to_its_end() -> None:
    regions = [_memory.mapping(_CODE + (number << 30), 4096, "rwxp") for number in range(5)]
    nodes = [struct.pack("<QQ", region.start, _HEAP + 2048 * (at + 1)) for at, region in enumerate(regions)]
    heap = _memory.mapping(_HEAP, 16384, "rw-p", b"[heap]")
    statics = _memory.mapping(_STATICS, 4096, "rw-p")
    memory = [
        (statics, struct.pack("<Q", _HEAP)),
        (heap, b"".join(node.ljust(2048, b"\0") for node in nodes)),
        *((region, b"x") for region in regions),
    ]
    view = _memory.FakeView(memory)
    assert running.reached(view, [Range(_STATICS, _STATICS + 4096)], regions, 2) == set(regions)


@pytest.mark.parametrize(("beside", "found"), [(_FILE + 16, True), (_FILE + 4096, False)])
def test_an_object_of_a_file_has_code(beside: int, found: bool) -> None:
    heap = bytes(64) + struct.pack("<QQQ", beside, 0, _CODE)
    assert running.owned(_view(0, heap), [_TEXT], [_REGION]) == ({_REGION} if found else set())


_Held = tuple[Mapping, bytes]


def _page(
    at: int, permissions: str = "rw-p", end: int = 0x40000, functions: int = _FILE + 16
) -> tuple[_Held, _Held, _Held]:
    """Return the header of a page of V8's heap, its code, and the object that it belongs to."""
    header = struct.pack("<QQQ", at + 0x3000, at + end, _HEAP)
    return (
        (_memory.mapping(at, 8192, permissions), header),
        (_memory.mapping(at + 0x3000, 0x3D000, "rwxp"), b"x"),
        (_memory.mapping(_HEAP, 4096, "rw-p", b"[heap]"), struct.pack("<QQ", functions, at)),
    )


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, True),
        ({"functions": _FILE + 4096}, False),
        ({"end": 0x3F030}, True),
        ({"end": 0x3F000}, False),
        ({"permissions": "rwxp"}, False),
    ],
)
def test_a_page_and_what_it_belongs_to_lead_to_each_other(changed: dict[str, t.Any], found: bool) -> None:
    header, code, heap = _page(_CODE, **changed)
    view = _memory.FakeView([(_TEXT, b""), heap, header, code])
    assert running.linked(view, [_TEXT], [code[0]]) == ({code[0]} if found else set())


def test_pages_lead_to_the_ones_before_and_after() -> None:
    first, code, heap = _page(_CODE)
    second, more, _heap = _page(_CODE + (1 << 30))
    first = (first[0], first[1] + struct.pack("<Q", second[0].start))
    alone = _memory.mapping(_CODE + (1 << 31), 4096, "rwxp")
    view = _memory.FakeView([(_TEXT, b""), heap, first, code, second, more, (alone, b"x")])
    assert running.linked(view, [_TEXT], [code[0], more[0], alone]) == {code[0], more[0]}


@pytest.mark.parametrize(
    ("code", "called"),
    [
        (b"\x49\xbb" + struct.pack("<Q", _FILE + 8) + b"\x41\xff\xd3", True),
        (b"\x49\xbb" + struct.pack("<Q", _FILE + 4096) + b"\x41\xff\xd3", False),
        (b"\x90\xe8" + struct.pack("<i", -0x1006), True),
        (b"\x90\xe8" + struct.pack("<i", 0x1000), False),
        (b"\xe8\0", False),
        (b"", False),
    ],
)
def test_code_calls_a_file(code: bytes, called: bool) -> None:
    assert running.calls([(_FILE + 0x1000, code)], [_TEXT]) is called


def test_zeros_in_huge_pages_do_not_use_up_the_search_for_a_call() -> None:
    code = b"\x49\xbb" + struct.pack("<Q", _FILE + 8) + b"\x41\xff\xd3"
    zeros = [(_CODE + piece * (1 << 20), bytes(1 << 20)) for piece in range(64)]
    assert running.calls([*zeros, (_CODE, code)], [_TEXT])


def _chunk(*sizes: int, room: int = 65536) -> bytes:
    """Return a chunk whose blocks have these sizes; what is left is free."""
    data, before = b"", 0
    for size in sizes:
        data += struct.pack("<QQ", size, before).ljust(size, b"\xcc")
        before = size
    free = room - len(data) - 16
    data += struct.pack("<QQQQQ", 0, before, 0, 0, free).ljust(free, b"\0")
    return data + struct.pack("<QQ", 1, free)


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        (_chunk(64, 4096), 65520),
        (_chunk(), 65520),
        (_chunk(64) + _chunk(128), 131040),
        (_chunk(64) + b"\x90" * 65536, None),
        (b"\0" * 65536, None),
        (b"\x55\x48\x89\xe5".ljust(65536, b"\0"), None),
        (struct.pack("<QQ", 1 << 60, 0).ljust(65536, b"\0"), None),
    ],
)
def test_chunks_of_sljit_are_walked(data: bytes, counted: int | None) -> None:
    region = _memory.mapping(_CODE, len(data), "rwxp")
    assert sljit.counted(_memory.FakeView([(region, data)]), region) == counted
