# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contracts that Windows and Linux hosts share: the same cases in both languages, and values drawn at random."""

from __future__ import annotations

import base64
import functools
import json
import math
import pathlib
import random
import struct
import typing as t
import zlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding, _payload
from ansible_collections.bulwark.servers.plugins.plugin_utils import payload

from tests.support.windows import toolchain
from tests.unit.windows import driver
from tests.unit.windows.driver import Case, Outcome

pytestmark = pytest.mark.requires(*toolchain.MONO)

CASES: dict[str, list[dict[str, t.Any]]] = json.loads(
    pathlib.Path(__file__).with_name("contracts.json").read_text(encoding="utf-8")
)
DRAWN = 3000


def expand(value: t.Any) -> t.Any:
    """Return a text of a case: as it is, repeated, or in parts."""
    if isinstance(value, dict) and set(value) == {"repeat", "times"}:
        return value["repeat"] * value["times"]
    if isinstance(value, dict):
        return {name: expand(member) for name, member in value.items()}
    return value


def text_of(value: t.Any) -> str:
    return "".join(map(expand, value)) if isinstance(value, list) else expand(value)


def canonical(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def content_of(case: dict[str, t.Any]) -> str:
    """Return the payload that a case describes."""
    if "content" in case:
        return str(case["content"])
    if "pack_text" in case:
        return base64.b64encode(zlib.compress(case["pack_text"].encode())).decode()
    if "pack_bytes" in case:
        return base64.b64encode(zlib.compress(base64.b64decode(case["pack_bytes"]))).decode()
    # Long enough that there is a middle, and different enough that it is compressed as such.
    packed = payload.packed(expand(case["pack"]) if "pack" in case else {"a": [str(n * n) for n in range(200)]})
    content = bytearray(base64.b64decode(packed))
    if "damage" in case:
        content[case["damage"]] ^= 0xFF
    content = content[: len(content) - case.get("cut", 0)] + base64.b64decode(case.get("append", ""))
    return base64.b64encode(content).decode()


def bytes_of(text: str) -> bytes:
    """Return the bytes of a host's text: surrogateescape's where it has such, else a lone surrogate's own."""
    escaped = (bytes([ord(char) - 0xDC00]) if "\udc80" <= char <= "\udcff" else char for char in text)
    return b"".join(part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass") for part in escaped)


def covered(case: dict[str, t.Any]) -> dict[str, t.Any]:
    coverage = _finding.ScopeCoverage(case["scope"])
    coverage.examined = case.get("examined", 0)
    coverage.note = case.get("note")
    for name, *arguments in case["steps"] * case.get("times", 1):
        getattr(coverage, name)(*arguments)
    return coverage.entry()


def detected(arguments: t.Sequence[t.Any]) -> dict[str, t.Any]:
    # C# has no tuple for what is not given, and no keyword is needed where the order is the same.
    return _finding.detection(*arguments)


def covering(case: dict[str, t.Any]) -> Case:
    steps = [driver.assign("Examined", case.get("examined", 0)), driver.assign("Note", case.get("note"))]
    for name, *arguments in case["steps"] * case.get("times", 1):
        steps.append(driver.call(name.capitalize(), *arguments))
    return driver.new("contracts.Coverage.ScopeCoverage", case["scope"], steps=[*steps, driver.call("Entry")])


# For each group of cases: how Python runs one, and what C# is called with for it.
PYTHON: dict[str, t.Callable[[dict[str, t.Any]], t.Any]] = {
    "printable": lambda case: _finding.printable(case["text"]),
    "unprintable": lambda case: _finding.unprintable(case["text"]),
    "json": lambda case: canonical(json.loads(text_of(case["text"]))),
    "payload": lambda case: _payload.unpack(content_of(case)),
    "detection": lambda case: detected(case["arguments"]),
    "coverage": covered,
    "not_checked": lambda case: _finding.not_checked(*case["arguments"]),
}
CSHARP: dict[str, t.Callable[[dict[str, t.Any]], Case]] = {
    "printable": lambda case: driver.call("contracts.Printable.Printable.Show", case["text"]),
    "unprintable": lambda case: driver.call("contracts.Printable.Printable.Parse", case["text"]),
    "json": lambda case: driver.call("ContractsScript.Rewrite", text_of(case["text"])),
    "payload": lambda case: driver.call("contracts.Payload.Payload.Unpack", content_of(case)),
    "detection": lambda case: driver.call("contracts.Detections.Detections.Make", *case["arguments"]),
    "coverage": covering,
    "not_checked": lambda case: driver.call("contracts.Coverage.ScopeCoverage.NotChecked", *case["arguments"]),
}
EACH = [
    pytest.param(group, case, id=f"{group}: {case['name']}")
    for group, cases in CASES.items()
    if group in PYTHON
    for case in cases
]


@functools.cache
def program() -> driver.Driver:
    names = ("Checkpoint", "Coverage", "Detections", "Json", "Payload", "Printable", "Zlib")
    script = pathlib.Path(__file__).with_name("ContractsScript.cs")
    return driver.Driver(*(f"contracts.{name}" for name in names), sources=[script])


@functools.cache
def outcomes() -> dict[tuple[str, str], Outcome]:
    """Run all cases in C#, in one process."""
    keys = [(group, case["name"]) for group in CSHARP for case in CASES[group]]
    return dict(
        zip(keys, program().run([CSHARP[group](case) for group in CSHARP for case in CASES[group]]), strict=True)
    )


def run_python(group: str, case: dict[str, t.Any]) -> Outcome:
    try:
        return Outcome(PYTHON[group](case))
    except (ValueError, RecursionError) as error:
        return Outcome(None, type(error).__name__, str(error))


def check(case: dict[str, t.Any], expected: dict[str, t.Any], outcome: Outcome) -> None:
    """Compare what a language returned with what a case expects of it."""
    if "error" in expected:
        assert outcome.error is not None, outcome.result
        if expected["error"] is not True:
            assert outcome.message.startswith(expected["error"])
    elif "counts" in case:
        counted = {name: outcome.result[name] for name in case["counts"]}
        assert {name: len(v) if isinstance(v, list) else v for name, v in counted.items()} == case["counts"]
        if "last_explained" in case:
            assert outcome.result["explained"][-1] == case["last_explained"]
    else:
        assert outcome.error is None, outcome.message
        result = expected["result"]
        assert outcome.result == (
            text_of(result) if isinstance(case.get("text"), (str, list, dict)) else expand(result)
        )


def test_each_group_of_cases_is_run() -> None:
    # The last is for test_checkpoint.py.
    assert set(PYTHON) == set(CSHARP) == set(CASES) - {"about", "checkpoint"}
    for cases in (CASES[group] for group in PYTHON):
        assert len({case["name"] for case in cases}) == len(cases)
        assert all(("csharp" in case) == ("why" in case) for case in cases)


@pytest.mark.parametrize(("group", "case"), EACH)
def test_python_returns(group: str, case: dict[str, t.Any]) -> None:
    if group == "unprintable" and "result" in case:
        assert _finding.unprintable(case["text"]) == bytes_of(case["result"])
    else:
        check(case, case, run_python(group, case))


@pytest.mark.parametrize(("group", "case"), EACH)
def test_csharp_returns(group: str, case: dict[str, t.Any]) -> None:
    check(case, case.get("csharp", case), outcomes()[group, case["name"]])


def test_what_is_shown_can_be_turned_back() -> None:
    cases = CASES["printable"]
    assert [_finding.unprintable(case["result"]) for case in cases] == [bytes_of(case["text"]) for case in cases]
    parsed = program().run([driver.call("contracts.Printable.Printable.Parse", case["result"]) for case in cases])
    assert [outcome.result for outcome in parsed] == [case["text"] for case in cases]


def drawn_texts(seed: int) -> list[str]:
    """Return texts of characters that are escaped, that stand beside those, and of both halves of astral ones."""
    source = random.Random(seed)  # noqa: S311 - drawn values for tests
    edges = [
        0,
        9,
        10,
        31,
        32,
        34,
        47,
        60,
        62,
        92,
        126,
        127,
        128,
        159,
        160,
        0x61C,
        0x200B,
        0x202E,
        0x2066,
        0xFEFF,
        0xFFFF,
    ]
    units = [
        *edges,
        *range(0xD7FE, 0xE001, 37),
        0xD800,
        0xDBFF,
        0xDC00,
        0xDC7F,
        0xDC80,
        0xDCFF,
        0xDFFF,
        0x1F600,
        0x10FFFF,
    ]
    pool = [chr(unit) for unit in units] + list("abcU+nrtxu\\<>0123456789")
    texts = ["".join(source.choices(pool, k=source.randrange(12))) for _ in range(DRAWN)]
    # Two halves side by side are one character in UTF-16, as a host's own text is.
    return [text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass") for text in texts]


def drawn_floats(seed: int) -> list[float]:
    source = random.Random(seed)  # noqa: S311 - drawn values for tests
    patterns = (struct.unpack("<d", struct.pack("<Q", source.getrandbits(64)))[0] for _ in range(DRAWN))
    powers = [2.0**exponent for exponent in range(-1074, 1024)]
    times = [source.uniform(1.6e9, 2.1e9) for _ in range(500)]
    decimals = [round(source.uniform(-1000, 1000), source.randrange(8)) for _ in range(500)]
    return [value for value in (*patterns, *powers, *times, *decimals) if not math.isnan(value)]


def drawn_value(source: random.Random, texts: t.Sequence[str], depth: int = 0) -> t.Any:
    kind = source.randrange(8 if depth < 4 else 6)
    if kind == 6:
        return [drawn_value(source, texts, depth + 1) for _ in range(source.randrange(4))]
    if kind == 7:
        return {source.choice(texts): drawn_value(source, texts, depth + 1) for _ in range(source.randrange(4))}
    number = source.getrandbits(source.randrange(64)) * source.choice((1, -1))
    return (None, True, False, source.choice(texts), number, source.random() * 10 ** source.randrange(-30, 30))[kind]


def test_drawn_texts_are_shown_alike_and_turned_back() -> None:
    texts = drawn_texts(1)
    show = [driver.call("contracts.Printable.Printable.Show", text) for text in texts]
    path = [driver.call("contracts.Printable.Printable.ShowPath", text) for text in texts]
    shown = [outcome.result for outcome in program().run([*show, *path])]
    assert shown[:DRAWN] == [_finding.printable(text) for text in texts]

    parse = [driver.call("contracts.Printable.Printable.Parse", text) for text in shown[:DRAWN]]
    parse_path = [driver.call("contracts.Printable.Printable.ParsePath", text) for text in shown[DRAWN:]]
    assert [outcome.result for outcome in program().run([*parse, *parse_path])] == [*texts, *texts]
    assert all(ord(char) >= 0x20 and not 0xD800 <= ord(char) <= 0xDFFF for text in shown for char in text)


def test_drawn_floats_are_written_as_python_does() -> None:
    floats = drawn_floats(2)
    (outcome,) = program().run([driver.call("ContractsScript.Rewrite", json.dumps(floats))])
    written = outcome.result[1:-1].split(",")
    assert [pair for pair in zip(written, map(json.dumps, floats), strict=True) if pair[0] != pair[1]] == []


def test_drawn_values_are_written_as_python_does() -> None:
    source = random.Random(3)  # noqa: S311 - drawn values for tests
    texts = drawn_texts(4)[:200]
    values = [drawn_value(source, texts) for _ in range(DRAWN)]
    results = program().run([driver.call("ContractsScript.Rewrite", json.dumps(value)) for value in values])
    assert [outcome.result for outcome in results] == [canonical(value) for value in values]


def test_damaged_documents_are_refused_by_both_or_by_none() -> None:
    source = random.Random(5)  # noqa: S311 - drawn values for tests
    texts = drawn_texts(6)[:200]
    documents = []
    for _ in range(DRAWN):
        written = json.dumps(drawn_value(source, texts))
        index = source.randrange(len(written))
        documents.append(written[:index] + source.choice('{}[],:"\\ 0-.eNItx\n') + written[index + 1 :])
    results = program().run([driver.call("ContractsScript.Rewrite", document) for document in documents])
    for document, outcome in zip(documents, results, strict=True):
        expected = run_python("json", {"text": document})
        if outcome.error == "FormatException" and expected.error is None:
            # What only C# refuses are whole numbers beyond 64 bits.
            assert "64 bits" in outcome.message, document
        else:
            assert (outcome.error is None) == (expected.error is None), document
            assert outcome.result == expected.result
