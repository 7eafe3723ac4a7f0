# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each signature: what it finds, and what looks alike and must not be found."""

from __future__ import annotations

import pathlib
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures import (
    KINDS,
    PLACES,
    compile_signature,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_search import (
    Matcher,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import signatures, subtypes

from tests.content.memory_scan.samples import INNOCENT, SAMPLES
from tests.support import commands, require

_SHIPPED = signatures.read()
_MATCHER = Matcher.from_payload(_SHIPPED.signatures)
_COMPILED = {given["id"]: compile_signature(given) for given in _SHIPPED.signatures}
# What is enough by itself: it is no text and sixteen bytes long.
_ALONE = {"tinyshell"}
_PIECE = 4096


def found(place: str, data: bytes, padding: int = 0) -> set[str]:
    """Return the signatures that match, with the data somewhere in random data, given in small pieces."""
    noise = random.Random(padding).randbytes(padding)  # noqa: S311 - the same in each run
    whole = noise + data + noise

    def source() -> t.Iterator[tuple[int, bytes]]:
        return ((at, whole[at : at + _PIECE]) for at in range(0, len(whole), _PIECE))

    return {match.signature.id for match in _MATCHER.scan(place, source)}


def test_nothing_is_wrong_with_what_is_shipped() -> None:
    assert _SHIPPED.problems == []
    assert len(_COMPILED) == len(_SHIPPED.signatures) >= 48


def test_each_signature_has_a_sample() -> None:
    assert set(SAMPLES) == set(_COMPILED)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_signature_finds_its_tool_wherever_it_is(name: str) -> None:
    missed = [
        (place, padding)
        for place in _COMPILED[name].where
        for padding in (5, 4090, 10_001)
        if name not in found(place, SAMPLES[name], padding)
    ]
    assert missed == []


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_tool_is_not_taken_for_another(name: str) -> None:
    kin = {"randomx_miner": {"randomx_code"}}.get(name, set())
    for place in _COMPILED[name].where:
        assert found(place, SAMPLES[name]) == {name, *kin}


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - _ALONE))
def test_one_fact_is_not_enough(name: str) -> None:
    signature = _COMPILED[name]
    for pattern in signature.patterns.values():
        for form in pattern.forms:
            only = form.literal.value
            data = b" | ".join([only] * 5)
            for place in signature.where:
                assert name not in found(place, data), only


@pytest.mark.parametrize("title", sorted(INNOCENT))
def test_who_only_speaks_of_tools_has_none(title: str) -> None:
    for place in PLACES:
        assert found(place, INNOCENT[title]) == set()


@pytest.mark.parametrize("file", sorted(signatures.DIRECTORY.glob("*.yml")), ids=lambda file: file.stem)
def test_an_editor_with_our_rules_has_no_tool(file: pathlib.Path) -> None:
    text = file.read_bytes()
    assert found("memory", text) == set()
    # As grep(1) prints it, and as an editor keeps it, line by line.
    name = str(file).encode()
    assert found("memory", b"\n".join(name + b":" + line for line in text.split(b"\n"))) == set()
    assert found("memory", b"\0\0\0\x1f\0\0\0".join(text.split(b"\n"))) == set()


@pytest.mark.parametrize("program", ["python3", "bash", "git", "ssh", "openssl", "perl", "gcc", "curl"])
def test_ordinary_programs_have_none(program: str) -> None:
    require(f"command:{program}")
    data = pathlib.Path(commands.find(program) or program).read_bytes()
    assert found("executable", data) == found("memory", data) == found("library", data) == set()


def test_a_kind_is_a_subtype() -> None:
    assert {f"known_{kind}" for kind in KINDS} <= set(subtypes.load())
    assert {signature.kind for signature in _COMPILED.values()} == set(KINDS)


@pytest.mark.parametrize("place", ["executable", "memory"])
def test_they_are_found_quickly(place: str) -> None:
    """Few facts that every memory is searched for may be so short that each of them takes a pass of its own."""
    anchors = _MATCHER.anchors(place)
    short = [anchor for anchor in anchors if len(anchor) < 23]
    assert len(anchors) > 100
    assert len(short) <= 4, short
