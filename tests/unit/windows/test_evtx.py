# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs of Windows: what is read of whole, rolled over, live and damaged files, and what is reported as unread."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import pathlib
import struct
import typing as t

import pytest

from tests.support.windows import evtx_writer as writer
from tests.support.windows import toolchain
from tests.support.windows.compiler import Target
from tests.support.windows.evtx_writer import (
    ARRAY,
    BINXML,
    CHUNK_SIZE,
    FIRST_RECORD,
    HEADER_SIZE,
    NOTHING,
    CData,
    CharacterReference,
    Element,
    EntityReference,
    Instance,
    Instruction,
    Record,
    Substitution,
    Value,
    event,
    text,
    texts,
)
from tests.unit.windows.driver import Driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

_SCRIPT = "EvtxScript"
_TIME = dt.datetime(2026, 3, 1, 12, 30, 15, 123456, dt.UTC)

Fields = list[tuple[str, t.Any]]
Result = dict[str, t.Any]


@functools.cache
def driver(target: Target = Target.MONO) -> Driver:
    return Driver("evtx.EvtxFile", sources=[pathlib.Path(__file__).with_name(f"{_SCRIPT}.cs")], target=target)


def call(function: str, file: bytes, *arguments: t.Any, target: Target = Target.MONO) -> Result:
    encoded = base64.b64encode(file).decode()
    result: Result = driver(target).call(f"{_SCRIPT}.{function}", encoded, *arguments)
    return result


def read(file: bytes) -> Result:
    return call("Read", file)


def ids(result: Result) -> list[int]:
    return [record["RecordId"] for record in result["records"]]


def fields(record: t.Mapping[str, t.Any]) -> Fields:
    return [(field["Key"], field["Value"]) for field in record["Fields"]]


def fields_of(root: Record) -> Fields:
    """Return the fields of a log's only record, which has no problem."""
    result = read(writer.log([root]))
    assert not result["problems"]["IsIncomplete"], result["problems"]
    (record,) = result["records"]
    return fields(record)


def in_user_data(*content: t.Any) -> Record:
    return event(1, user_data=Element("UserData", (Element("X", content),)))


def reason(result: Result) -> tuple[int, str]:
    problems = result["problems"]
    return problems["FirstOffset"], problems["FirstReason"]


def test_system_fields_and_data_are_read() -> None:
    record = event(
        70001,
        event_id=4688,
        channel="Security",
        data=[("NewProcessName", text("C:\\x.exe")), ("ProcessId", writer.hex64(0x1A4)), ("Empty", NOTHING)],
        time=_TIME,
        level=4,
        version=2,
        task=13312,
        opcode=1,
        process_id=4,
        thread_id=0xFFFFFFFF,
        user="S-1-5-21-1-2-3-1001",
        activity="00112233-4455-6677-8899-aabbccddeeff",
        header_id=7,
    )
    result = read(writer.log([record]))
    (found,) = result["records"]
    assert fields(found) == [("NewProcessName", "C:\\x.exe"), ("ProcessId", "0x1a4"), ("Empty", "")]
    del found["Fields"]
    assert found == {
        "Channel": "Security",
        "Provider": "Microsoft-Windows-Security-Auditing",
        "Computer": "host.example",
        "UserSid": "S-1-5-21-1-2-3-1001",
        "ActivityId": "{00112233-4455-6677-8899-AABBCCDDEEFF}",
        "Keywords": "0x8020000000000000",
        "EventId": 4688,
        "Version": 2,
        "Level": 4,
        "Opcode": 1,
        "Task": 13312,
        "ProcessId": 4,
        "ThreadId": -1,
        "RecordId": 70001,
        "HeaderRecordId": 7,
        "Time": writer.ticks(_TIME),
    }
    assert result["problems"] == {
        "Chunks": 0,
        "Records": 0,
        "Values": 0,
        "Checksums": 0,
        "FirstOffset": -1,
        "FirstReason": "",
        "IsIncomplete": False,
    }


_VALUES = [
    (Value(writer.NULL, b""), ""),
    (text(""), ""),
    (text("C:\\Ω\U0001f600.exe"), "C:\\Ω\U0001f600.exe"),
    (text("a\r\nb\x01\x1b"), "a\r\nb\x01\x1b"),
    (text("ended\0\0"), "ended"),
    (text("before\0after\0"), "before\0after"),
    (Value(writer.ANSI, b"caf\xe9 \x80\x93\0"), "caf\u00e9 \u20ac\u201c"),
    (Value(writer.INT8, b"\x80"), "-128"),
    (Value(writer.UINT8, b"\xff"), "255"),
    (Value(writer.INT16, b"\x00\x80"), "-32768"),
    (Value(writer.UINT16, b"\xff\xff"), "65535"),
    (Value(writer.INT32, b"\xff\xff\xff\xff"), "-1"),
    (Value(writer.UINT32, b"\xff\xff\xff\xff"), "4294967295"),
    (Value(writer.INT64, b"\0\0\0\0\0\0\0\x80"), "-9223372036854775808"),
    (Value(writer.UINT64, b"\xff" * 8), "18446744073709551615"),
    (Value(writer.UINT32, b"\x07\x00"), "7"),
    (Value(writer.REAL32, struct.pack("<f", 1.5)), "1.5"),
    (Value(writer.REAL64, struct.pack("<d", -0.25)), "-0.25"),
    (Value(writer.BOOLEAN, b"\1\0\0\0"), "true"),
    (Value(writer.BOOLEAN, b"\0\0\0\0"), "false"),
    (Value(writer.BINARY, b"\x00\xab\xff"), "00ABFF"),
    (writer.guid("365abb72-7acc-5cc4-0000-0010b2470300"), "{365ABB72-7ACC-5CC4-0000-0010B2470300}"),
    (Value(writer.SIZE, b"\xf0\x0f\0\0"), "0xff0"),
    (Value(writer.SIZE, b"\xf0\x0f\0\0\0\0\0\x80"), "0x8000000000000ff0"),
    (writer.filetime(writer.ticks(_TIME) + 7), "2026-03-01T12:30:15.1234567Z"),
    (writer.filetime(0), "1601-01-01T00:00:00.0000000Z"),
    (Value(writer.SYSTEMTIME, struct.pack("<8H", 2026, 3, 0, 1, 12, 30, 15, 9)), "2026-03-01T12:30:15.009Z"),
    (writer.sid("S-1-5-21-4294967295-2-3-500"), "S-1-5-21-4294967295-2-3-500"),
    (writer.sid("S-1-5"), "S-1-5"),
    (writer.hex32(0xABC), "0xabc"),
    (writer.hex64(0), "0x0"),
    (Value(0x20, b"\x10\0\0\0\0\0\0\0"), "0x10"),
    (Value(0x23, "<a/>".encode("utf-16-le")), "<a/>"),
]


@pytest.mark.parametrize(
    "target", [Target.MONO, pytest.param(Target.WINDOWS, marks=pytest.mark.requires(*toolchain.WINE))]
)
def test_every_type_of_value_is_text_as_windows_shows_it(target: Target) -> None:
    data = [(f"F{index}", value) for index, (value, _) in enumerate(_VALUES)]
    result = call("Read", writer.log([event(1, data=data)]), target=target)
    assert not result["problems"]["IsIncomplete"], result["problems"]
    expected = [(f"F{index}", shown) for index, (_, shown) in enumerate(_VALUES)]
    assert fields(result["records"][0]) == expected


def test_lone_surrogates_are_kept() -> None:
    # Json.Write cannot carry them; the length of what stands there does.
    result = call("Measure", writer.log([event(1, data=[("Name", text("a\ud800b\udc00"))])]))
    assert (result["characters"], result["problems"]["IsIncomplete"]) == (4, False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Value(writer.GUID, b"\1\2\3"), "010203"),
        (Value(writer.FILETIME, b"\xff" * 8), "FFFFFFFFFFFFFFFF"),
        (Value(writer.SID, b"\1\5\0\0"), "01050000"),
        (Value(writer.SID, b"\1\5\0\0\0\0\0\5\0\0\0\0"), "010500000000000500000000"),
        (Value(writer.UINT32, b"\1\2\3"), "010203"),
        (Value(0x7F, b"\xaa"), "AA"),
        (Value(ARRAY | writer.UINT32, b"\1\0\0\0\2"), "0100000002"),
        (Value(ARRAY | BINXML, b"\x0f\x01"), "0F01"),
    ],
)
def test_values_that_are_not_as_their_type_demands_are_bytes_and_counted(value: Value, shown: str) -> None:
    result = read(writer.log([event(1, data=[("A", text("x")), ("B", value), ("C", value)])]))
    assert fields(result["records"][0]) == [("A", "x"), ("B", shown), ("C", shown)]
    assert (result["problems"]["Values"], result["problems"]["Records"]) == (2, 0)
    assert reason(result)[1] == "a value is not as its type demands"


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (texts("a", "", "c"), ["a", "", "c"]),
        (texts("only"), ["only"]),
        (Value(ARRAY | writer.STRING, "a\0b".encode("utf-16-le")), ["a", "b"]),
        (Value(ARRAY | writer.ANSI, b"a\0\xe9"), ["a", "é"]),
        (Value(ARRAY | writer.UINT16, b"\1\0\2\0\3\0"), ["1", "2", "3"]),
        (Value(ARRAY | writer.HEX32, b"\x0a\0\0\0\x0b\0\0\0"), ["0xa", "0xb"]),
        (Value(ARRAY | writer.BOOLEAN, b"\1\0\0\0\0\0\0\0"), ["true", "false"]),
        (
            Value(ARRAY | writer.SID, b"".join(bytes(_sid) for _sid in (b"\1\1\0\0\0\0\0\5\x12\0\0\0",) * 2)),
            ["S-1-5-18", "S-1-5-18"],
        ),
    ],
)
def test_arrays_repeat_their_element(value: Value, items: list[str]) -> None:
    record = event(1, data=[("Named", value), (None, value), (None, text("last"))])
    assert fields_of(record) == [*(("Named", item) for item in items), ("Data", [*items, "last"])]


def test_unnamed_data_is_one_list_and_names_may_come_twice() -> None:
    data = [(None, text("a")), ("N", text("1")), (None, NOTHING), ("N", text("2")), ("", text("b"))]
    assert fields_of(event(1, data=data)) == [("Data", ["a", "", "b"]), ("N", "1"), ("N", "2")]


def test_text_is_put_together_of_all_its_forms() -> None:
    record = in_user_data(
        "a", EntityReference("lt"), CharacterReference(66), CData("<&>"), EntityReference("own"),
        Value(writer.UINT16, b"\7\0"), Instruction("target", "ignored"), "z",
    )  # fmt: skip
    assert fields_of(record) == [("X", "a<B<&>&own;7z")]


def test_user_data_gives_its_leaves_and_attributes() -> None:
    inner = Element("Inner", ("1",), (("Kind", "k"),))
    root = Element("LogFileCleared", (inner, Element("Empty"), Element("Deep", (Element("Inner", ("2",)),))))
    data = Element("UserData", (root,), (("xmlns:auto-ns2", "http://example.org"),))
    expected = [("Kind", "k"), ("Inner", "1"), ("Empty", ""), ("Inner", "2")]
    assert fields_of(event(1, user_data=data)) == expected


def test_text_beside_elements_is_kept() -> None:
    assert fields_of(in_user_data("text", Element("Y", ("y",)))) == [("Y", "y"), ("X", "text")]


def test_templates_and_binary_xml_within_values_are_read() -> None:
    leaf = Instance(Element("Leaf", (Substitution(0, writer.UINT16),)), (writer.uint16(9),))
    middle = Instance(Element("Middle", (Substitution(0, BINXML), leaf)), (Value(BINXML, leaf),))
    outer = Instance(
        Element("UserData", (Substitution(1, BINXML), Element("Own", (Substitution(0, writer.STRING, False),)))),
        (text("outer"), Value(BINXML, middle)),
    )
    assert fields_of(event(1, user_data=outer)) == [("Leaf", "9"), ("Leaf", "9"), ("Own", "outer")]


def test_rendered_texts_are_no_fields_and_other_sections_are() -> None:
    def with_section(name: str) -> Record:
        return event(1, user_data=Element(name, (Element("Message", ("text",)),)))

    assert fields_of(with_section("RenderingInfo")) == []
    assert fields_of(with_section("ProcessingErrorData")) == [("Message", "text")]


def test_elements_without_a_template_are_read() -> None:
    system = Element("System", (Element("EventID", ("7",)), Element("EventRecordID", ("12",))))
    data = Element("EventData", (Element("Data", ("v",), (("Name", "N"),)),))
    result = read(writer.log([Record(Element("Event", (system, data)), time=99)]))
    (record,) = result["records"]
    assert (record["EventId"], record["RecordId"], record["Time"], fields(record)) == (7, 12, 99, [("N", "v")])


def test_a_record_without_an_id_is_a_problem() -> None:
    result = read(writer.log([Record(Element("Event", (Element("System"),))), event(5)]))
    assert ids(result) == [5]
    assert result["problems"]["Records"] == 1
    assert reason(result) == (HEADER_SIZE + FIRST_RECORD + 24, "the record has no System/EventRecordID")


def test_many_chunks_and_ids_that_do_not_begin_at_one() -> None:
    result = read(writer.log(event(8_000_000_000 + number) for number in range(900)))
    assert ids(result) == list(range(8_000_000_000, 8_000_000_900))
    assert [record["HeaderRecordId"] for record in result["records"]] == list(range(1, 901))
    assert result["problems"]["FirstReason"] == ""


def test_a_log_that_rolled_over_is_read_from_its_oldest_chunk() -> None:
    parts = writer.chunks((event(number, header_id=number) for number in range(500, 512)), most=3)
    result = read(writer.log_of([*parts[2:], *parts[:2]], first=2))
    assert ids(result) == list(range(500, 512))
    assert not result["problems"]["IsIncomplete"]


def unfinished(chunk: bytes) -> bytes:
    """Return a chunk as in a log in use: its header is of its first record, and behind the last is an older one."""
    live = bytearray(chunk)
    (size,) = struct.unpack_from("<I", live, FIRST_RECORD + 4)
    struct.pack_into("<I", live, 48, FIRST_RECORD + size)
    (free,) = struct.unpack_from("<I", chunk, 48)
    struct.pack_into("<IIQ", live, free, 0x2A2A, 64, 2)
    struct.pack_into("<I", live, free + 60, 64)
    writer.seal_chunk(live)
    return bytes(live)


def test_a_log_in_use_is_read_beyond_its_header() -> None:
    first, last = writer.chunks((event(number) for number in range(1, 9)), most=4)
    result = read(writer.log_of([first, unfinished(last)], is_dirty=True, count=1))
    assert ids(result) == list(range(1, 9))
    assert not result["problems"]["IsIncomplete"]


def test_events_are_the_same_in_a_log_in_use_an_archived_and_an_exported_one() -> None:
    """A live log goes on at its oldest block; an archived one keeps its headers' ids; an export numbers them anew."""

    def events(first: int | None) -> t.Iterator[Record]:
        return (
            event(number, data=[("CommandLine", text(f"cmd /c {number}"))], header_id=first and first + number)
            for number in range(500, 512)
        )

    oldest, middle, newest = writer.chunks(events(7000), most=4)
    files = [
        writer.log_of([unfinished(newest), oldest, middle], is_dirty=True, first=1),
        writer.log_of([oldest, middle, newest]),
        writer.log(events(None)),
    ]
    results = [read(file) for file in files]
    assert not any(result["problems"]["IsIncomplete"] for result in results)
    live, archived, exported = (result["records"] for result in results)
    headers = [[record.pop("HeaderRecordId") for record in records] for records in (live, archived, exported)]
    assert headers == [[*range(7500, 7512)], [*range(7500, 7512)], [*range(1, 13)]]
    assert [fields(record) for record in live] == [[("CommandLine", f"cmd /c {n}")] for n in range(500, 512)]
    assert live == archived == exported


def test_wrong_checksums_are_counted_and_the_records_read() -> None:
    file = bytearray(writer.log((event(number) for number in range(1, 5)), most=2))
    for position in (8, HEADER_SIZE + 124, HEADER_SIZE + CHUNK_SIZE + 52):
        file[position] ^= 1
    result = read(bytes(file))
    assert ids(result) == [1, 2, 3, 4]
    assert (result["problems"]["Checksums"], result["problems"]["IsIncomplete"]) == (3, False)


def test_records_around_damage_are_read() -> None:
    file = bytearray(writer.log(event(number) for number in range(1, 6)))
    offsets = _offsets(file)
    # The second has no signature, the fourth no size.
    file[offsets[1]] ^= 0xFF
    file[offsets[3] + 6] ^= 0xFF
    result = read(bytes(file))
    assert ids(result) == [1, 3, 4, 5]
    assert result["problems"]["Records"] == 1
    assert reason(result) == (offsets[1], "there is no record where one should begin")


def _offsets(file: bytes | bytearray) -> list[int]:
    """Return where the records of a log's first chunk begin."""
    offsets = [HEADER_SIZE + FIRST_RECORD]
    (free,) = struct.unpack_from("<I", file, HEADER_SIZE + 48)
    while offsets[-1] < HEADER_SIZE + free:
        offsets.append(offsets[-1] + struct.unpack_from("<I", file, offsets[-1] + 4)[0])
    return offsets[:-1]


def test_a_template_of_another_record_gives_no_event() -> None:
    file = bytearray(writer.log([event(1), event(2)]))
    second = _offsets(file)[1]
    assert file[second + 28] == 0x0C
    file[second + 30] ^= 1
    result = read(bytes(file))
    assert ids(result) == [1]
    assert reason(result)[1] == "a template is not that of the record"


def test_an_event_is_given_as_far_as_its_record_can_be_read() -> None:
    data = [("First", text("1")), ("Second", writer.uint32(2))]
    file = bytearray(writer.log([event(1, data=data), event(2)]))
    second = file.index("Second".encode("utf-16-le"))
    # The token of the value that follows.
    position = file.index(b"\x0e\x01\0\x08", second)
    file[position] = 0x1F
    result = read(bytes(file))
    assert [fields(record) for record in result["records"]] == [[("First", "1")], []]
    assert (result["problems"]["Values"], result["problems"]["Records"]) == (1, 0)
    assert reason(result) == (position, "there is an unknown token")


def test_a_file_that_ends_within_a_chunk_gives_what_is_there() -> None:
    file = writer.log((event(number) for number in range(1, 81)), most=40)
    end = HEADER_SIZE + CHUNK_SIZE + 4096
    result = read(file[:end])
    assert 45 < len(ids(result)) < 80
    assert ids(result) == list(range(1, len(ids(result)) + 1))
    assert result["problems"]["Chunks"] == 1
    assert reason(result) == (HEADER_SIZE + CHUNK_SIZE, "the file ends within a chunk")


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_chunk_that_is_gone_is_a_problem(is_cut: bool) -> None:
    file = writer.log((event(number) for number in range(1, 9)), most=4)
    whole = file[: HEADER_SIZE + CHUNK_SIZE]
    result = read(whole if is_cut else whole + bytes(CHUNK_SIZE))
    assert ids(result) == [1, 2, 3, 4]
    assert (result["problems"]["Chunks"], reason(result)[0]) == (1, HEADER_SIZE + CHUNK_SIZE)


def test_ids_in_headers_that_are_not_consecutive_are_a_problem() -> None:
    parts = writer.chunks((event(number) for number in range(1, 9)), most=2)
    result = read(writer.log_of([parts[0], parts[2], parts[3]]))
    assert ids(result) == [1, 2, 5, 6, 7, 8]
    assert result["problems"]["Records"] == 1
    assert reason(result)[1] == "the ids in the headers of records are not consecutive"


def test_blocks_that_were_never_used_are_no_problem() -> None:
    result = read(writer.log([event(1)]) + bytes(3 * CHUNK_SIZE))
    assert (ids(result), result["problems"]["IsIncomplete"]) == ([1], False)


def test_records_of_a_chunk_without_its_signature_are_read() -> None:
    file = bytearray(writer.log([event(1), event(2)]))
    file[HEADER_SIZE] ^= 1
    result = read(bytes(file))
    assert (ids(result), result["problems"]["Chunks"]) == ([1, 2], 1)
    assert reason(result) == (HEADER_SIZE, "a block has no signature of a chunk")


@pytest.mark.parametrize("file", [b"", b"ElfFile\0", b"text\n" * 5000])
def test_what_is_no_log_is_a_problem(file: bytes) -> None:
    result = read(file)
    assert result["records"] == []
    assert reason(result) == (0, "the file does not begin with the header of an event log")


def test_a_log_without_records_is_empty() -> None:
    for file in (writer.log([]), writer.log_of([])):
        result = read(file)
        assert (result["records"], result["problems"]["IsIncomplete"]) == ([], False)


def test_damage_is_never_silent_and_never_an_error() -> None:
    data = [("Path", text("C:\\Windows\\x.exe")), (None, texts("a", "b")), ("Id", writer.hex64(77))]
    file = writer.log((event(number, data=data, user="S-1-5-18", time=_TIME) for number in range(1, 301)), most=160)
    result = call("Damage", file, 400)
    assert result["silent"] == []
    assert result["partly"] > 200


def _nested(depth: int) -> Value:
    inner: Element | Instance = Element("Leaf")
    for level in range(depth):
        inner = Instance(Element(f"L{level}", (Substitution(0, BINXML),) * 30), (Value(BINXML, inner),))
    return Value(BINXML, inner)


def _substituted(value: Value) -> tuple[tuple[Element, ...], Value]:
    return (Element("D", (Substitution(0, value.type),)),) * 900, value


@pytest.mark.parametrize(
    ("children", "value"),
    [
        ((Element("D", ("x" * 10,)),) * 1200, NOTHING),
        ((Element("D", ("x" * 20000,)), *[Element("E")] * 900), NOTHING),
        ((Element("D", ("x" * 15000, *["y"] * 2000)),), NOTHING),
        ((Element("D" * 15000),) * 900, NOTHING),
        _substituted(text("x" * 15000)),
        _substituted(Value(writer.BINARY, bytes(30000))),
        _substituted(texts(*[""] * 12000)),
        ((Element("D", ("x" * 4000, Substitution(0, ARRAY | writer.STRING))),), texts(*["y"] * 9000)),
        ((Substitution(0, BINXML),) * 900, _nested(12)),
        ((Substitution(0, BINXML),) * 900, _nested(3)),
    ],
    ids=["elements", "long-text", "pieces", "names", "value", "binary", "array", "array-in-text", "deep", "wide"],
)
def test_a_chunk_that_multiplies_itself_is_given_up(children: tuple[t.Any, ...], value: Value) -> None:
    system = Element("System", (Element("EventRecordID", ("1",)),))
    record = Record(Instance(Element("Event", (system, Element("EventData", children))), (value,)))
    result = call("Measure", writer.log([record] * writer.fitting(record)))
    assert result["problems"]["Records"] + result["problems"]["Values"] > 0
    # A unit of BinXmlData's 150,000 for a chunk is a field or 8 characters.
    assert result["fields"] <= 150_000
    assert result["characters"] <= 1_200_000


def test_elements_within_each_other_have_an_end() -> None:
    deep = Element("X")
    for _ in range(40):
        deep = Element("X", (deep,))
    result = read(writer.log([event(1, user_data=deep), event(2)]))
    assert ids(result) == [1, 2]
    assert reason(result)[1] == "elements are nested too deeply"
