# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write event logs of Windows (.evtx), so that tests choose their records and what is wrong with them.

    log([event(1, event_id=4688, data=[("NewProcessName", text("C:\\\\x.exe")), ("ProcessId", hex64(4096))])])

The format is that of https://github.com/libyal/libevtx/blob/main/documentation and [MS-EVEN6] 2.2.12.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import struct
import typing as t
import uuid
import zlib

HEADER_SIZE = 4096
CHUNK_SIZE = 65536
# Where the records of a chunk begin.
FIRST_RECORD = 512

NULL, STRING, ANSI, INT8, UINT8, INT16, UINT16, INT32, UINT32, INT64, UINT64 = range(11)
REAL32, REAL64, BOOLEAN, BINARY, GUID, SIZE, FILETIME, SYSTEMTIME, SID, HEX32, HEX64 = range(11, 22)
BINXML = 0x21
ARRAY = 0x80

_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"
_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
_MORE = 0x40


@dataclasses.dataclass(frozen=True)
class Value:
    """A value of a template instance; content is its bytes or, for BINXML, what it holds."""

    type: int
    content: bytes | Element | Instance


@dataclasses.dataclass(frozen=True)
class Substitution:
    """The place in a template of the value with this index."""

    index: int
    type: int
    is_optional: bool = True


@dataclasses.dataclass(frozen=True)
class CharacterReference:
    """A character by its number."""

    code: int


@dataclasses.dataclass(frozen=True)
class EntityReference:
    """A character by its name, such as amp."""

    name: str


@dataclasses.dataclass(frozen=True)
class CData:
    """Text in a CDATA section."""

    text: str


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A processing instruction, which readers skip."""

    target: str
    text: str


@dataclasses.dataclass(frozen=True)
class Element:
    """An element of BinXml; its attributes are pairs of a name and content."""

    name: str
    children: tuple[Content, ...] = ()
    attributes: tuple[tuple[str, Content], ...] = ()


@dataclasses.dataclass(frozen=True)
class Instance:
    """A template and the values for its substitutions. Instances of one template share the object."""

    template: Element
    values: tuple[Value, ...] = ()


Content = str | Value | Substitution | CharacterReference | EntityReference | CData | Instruction | Element | Instance


@dataclasses.dataclass(frozen=True)
class Record:
    """A record: what its BinXml holds, and its header. header_id: None to count from 1."""

    root: Element | Instance
    time: int = 0
    header_id: int | None = None


NOTHING = Value(NULL, b"")


def text(value: str) -> Value:
    """Return a value of UTF-16 characters; lone surrogates are allowed."""
    return Value(STRING, value.encode("utf-16-le", "surrogatepass"))


def texts(*values: str) -> Value:
    """Return an array of texts."""
    return Value(ARRAY | STRING, "".join(f"{value}\0" for value in values).encode("utf-16-le", "surrogatepass"))


def uint16(value: int) -> Value:
    """Return a value that is shown in decimal."""
    return Value(UINT16, struct.pack("<H", value))


def uint32(value: int) -> Value:
    """Return a value that is shown in decimal."""
    return Value(UINT32, struct.pack("<I", value))


def uint64(value: int) -> Value:
    """Return a value that is shown in decimal."""
    return Value(UINT64, struct.pack("<Q", value))


def hex32(value: int) -> Value:
    """Return a value that is shown as 0x."""
    return Value(HEX32, struct.pack("<I", value))


def hex64(value: int) -> Value:
    """Return a value that is shown as 0x."""
    return Value(HEX64, struct.pack("<Q", value))


def guid(value: str) -> Value:
    """Return the value of a GUID."""
    return Value(GUID, uuid.UUID(value).bytes_le)


def sid(value: str) -> Value:
    """Return the value of an account such as S-1-5-18."""
    revision, authority, *parts = (int(part) for part in value.split("-")[1:])
    packed = struct.pack(">BB", revision, len(parts)) + authority.to_bytes(6, "big")
    return Value(SID, packed + struct.pack(f"<{len(parts)}I", *parts))


def filetime(value: dt.datetime | int) -> Value:
    """Return a value of a time."""
    return Value(FILETIME, struct.pack("<q", value if isinstance(value, int) else ticks(value)))


def ticks(value: dt.datetime) -> int:
    """Return a time in units of 100 ns since 1601."""
    return (value - _EPOCH) // dt.timedelta(microseconds=1) * 10


_SYSTEM = Element(
    "System",
    (
        Element(
            "Provider",
            attributes=(("Name", Substitution(0, STRING)), ("Guid", Substitution(1, GUID))),
        ),
        Element("EventID", (Substitution(2, UINT16),)),
        Element("Version", (Substitution(3, UINT8),)),
        Element("Level", (Substitution(4, UINT8),)),
        Element("Task", (Substitution(5, UINT16),)),
        Element("Opcode", (Substitution(6, UINT8),)),
        Element("Keywords", (Substitution(7, HEX64),)),
        Element("TimeCreated", attributes=(("SystemTime", Substitution(8, FILETIME)),)),
        Element("EventRecordID", (Substitution(9, UINT64),)),
        Element("Correlation", attributes=(("ActivityID", Substitution(10, GUID)),)),
        Element(
            "Execution",
            attributes=(("ProcessID", Substitution(11, UINT32)), ("ThreadID", Substitution(12, UINT32))),
        ),
        Element("Channel", (Substitution(13, STRING),)),
        Element("Computer", (Substitution(14, STRING),)),
        Element("Security", attributes=(("UserID", Substitution(15, SID)),)),
    ),
)
_EVENT = Element("Event", (_SYSTEM, Substitution(16, BINXML)), (("xmlns", _NAMESPACE),))


@functools.cache
def _event_data(data: tuple[tuple[str | None, int], ...]) -> Element:
    elements = (
        Element("Data", (Substitution(index, kind),), () if name is None else (("Name", name),))
        for index, (name, kind) in enumerate(data)
    )
    return Element("EventData", tuple(elements))


def event(
    record_id: int,
    *,
    event_id: int = 1,
    channel: str = "Security",
    provider: str = "Microsoft-Windows-Security-Auditing",
    computer: str = "host.example",
    data: t.Sequence[tuple[str | None, Value]] = (),
    user_data: Element | Instance | None = None,
    time: dt.datetime | int = 0,
    level: int = 0,
    version: int = 0,
    task: int = 0,
    opcode: int = 0,
    keywords: int = 0x8020000000000000,
    process_id: int = 4,
    thread_id: int = 8,
    user: str | None = None,
    activity: str | None = None,
    header_id: int | None = None,
) -> Record:
    """Return a record as Windows writes it. data: what EventData has, by name or without one; user_data: instead."""
    template = _event_data(tuple((name, value.type) for name, value in data))
    event_data = Instance(template, tuple(value for _, value in data))
    created = time if isinstance(time, int) else ticks(time)
    values = (
        text(provider),
        guid("54849625-5478-4994-a5ba-3e3b0328c30d"),
        uint16(event_id),
        Value(UINT8, bytes([version])),
        Value(UINT8, bytes([level])),
        uint16(task),
        Value(UINT8, bytes([opcode])),
        hex64(keywords),
        filetime(created),
        uint64(record_id),
        NOTHING if activity is None else guid(activity),
        uint32(process_id),
        uint32(thread_id),
        text(channel),
        text(computer),
        NOTHING if user is None else sid(user),
        Value(BINXML, user_data or event_data),
    )
    return Record(Instance(_EVENT, values), created, header_id)


class _Chunk:
    """A chunk that is being written: names and templates stand where they are used first."""

    def __init__(self) -> None:
        self.data = bytearray(FIRST_RECORD)
        self._names: dict[str, int] = {}
        # By the object: one template is written once. Its offset, and its GUID.
        self._templates: dict[int, tuple[int, bytes]] = {}
        self._last_record = 0
        self.ids: list[int] = []

    def add(self, record: Record, header_id: int) -> bool:
        """Append a record; False, and nothing is changed, when there is no room for it."""
        before = len(self.data), dict(self._names), dict(self._templates)
        start = len(self.data)
        self._pack("<IIQQ", 0x2A2A, 0, header_id, record.time)
        self._content(b"\x0f\x01\x01\x00", record.root)
        self.data += bytes(-(len(self.data) + 4 - start) % 8)
        size = len(self.data) + 4 - start
        self._pack("<I", size)
        struct.pack_into("<I", self.data, start + 4, size)
        if len(self.data) > CHUNK_SIZE:
            del self.data[before[0] :]
            self._names, self._templates = before[1:]
            return False
        self._last_record = start
        self.ids.append(header_id)
        return True

    def finish(self) -> bytes:
        """Return the whole chunk with its header."""
        data = self.data
        first, last = (self.ids[0], self.ids[-1]) if self.ids else (1, -1)
        struct.pack_into("<8sqqqqIII", data, 0, b"ElfChnk", first, last, first, last, 128, self._last_record, len(data))
        data += bytes(CHUNK_SIZE - len(data))
        seal_chunk(data)
        return bytes(data)

    def _pack(self, form: str, *numbers: int) -> None:
        self.data += struct.pack(form, *numbers)

    def _content(self, header: bytes, content: Element | Instance, is_template: bool = False) -> None:
        self.data += header
        self._write(content, is_template)
        self.data.append(0)

    def _write(self, content: Content, is_template: bool) -> None:
        if isinstance(content, str):
            self.data += b"\x05\x01" + _counted(content)
        elif isinstance(content, Value):
            assert isinstance(content.content, bytes)
            self.data += bytes([5, content.type]) + content.content
        elif isinstance(content, Substitution):
            self._pack("<BHB", 0x0E if content.is_optional else 0x0D, content.index, content.type)
        elif isinstance(content, CharacterReference):
            self._pack("<BH", 8, content.code)
        elif isinstance(content, EntityReference):
            self.data.append(9)
            self._name(content.name)
        elif isinstance(content, CData):
            self.data += b"\x07" + _counted(content.text)
        elif isinstance(content, Instruction):
            self.data.append(0x0A)
            self._name(content.target)
            self.data += b"\x0b" + _counted(content.text)
        elif isinstance(content, Instance):
            self._instance(content)
        else:
            self._element(content, is_template)

    def _name(self, name: str) -> None:
        position = len(self.data) + 4
        offset = self._names.setdefault(name, position)
        self._pack("<I", offset)
        if offset == position:
            # The hash is that of libevtx's documentation; no reader needs it.
            self._pack("<IH", 0, sum(ord(character) for character in name) & 0xFFFF)
            self.data += _counted(name) + b"\0\0"

    def _element(self, element: Element, is_template: bool) -> None:
        self.data.append(1 | (_MORE if element.attributes else 0))
        if is_template:
            self._pack("<H", 0xFFFF)
        start = len(self.data)
        self._pack("<I", 0)
        self._name(element.name)
        if element.attributes:
            attributes = len(self.data)
            self._pack("<I", 0)
            for index, (name, content) in enumerate(element.attributes):
                self.data.append(6 | (_MORE if index + 1 < len(element.attributes) else 0))
                self._name(name)
                self._write(content, is_template)
            struct.pack_into("<I", self.data, attributes, len(self.data) - attributes - 4)
        if element.children:
            self.data.append(2)
            for child in element.children:
                self._write(child, is_template)
            self.data.append(4)
        else:
            self.data.append(3)
        struct.pack_into("<I", self.data, start, len(self.data) - start - 4)

    def _instance(self, instance: Instance) -> None:
        position = len(self.data) + 10
        if id(instance.template) not in self._templates:
            description = repr(instance.template).encode()
            identity = hashlib.md5(description, usedforsecurity=False).digest()
            self._templates[id(instance.template)] = position, identity
        offset, identity = self._templates[id(instance.template)]
        self.data += b"\x0c\x01" + identity[:4]
        self._pack("<I", offset)
        if offset == position:
            self._pack("<I", 0)
            self.data += identity
            self._pack("<I", 0)
            start = len(self.data)
            self._content(b"\x0f\x01\x01\x00", instance.template, is_template=True)
            struct.pack_into("<I", self.data, start - 4, len(self.data) - start)
        self._pack("<I", len(instance.values))
        descriptors = len(self.data)
        self.data += bytes(4 * len(instance.values))
        for index, value in enumerate(instance.values):
            start = len(self.data)
            if isinstance(value.content, bytes):
                self.data += value.content
            else:
                self._content(b"\x0f\x01\x01\x00", value.content)
            size = len(self.data) - start
            struct.pack_into("<HBB", self.data, descriptors + 4 * index, size, value.type, 0)


def _counted(value: str) -> bytes:
    encoded = value.encode("utf-16-le", "surrogatepass")
    return struct.pack("<H", len(encoded) // 2) + encoded


def seal_chunk(data: bytearray, start: int = 0) -> None:
    """Make the checksums of a chunk right, which begins at ``start``."""
    (free,) = struct.unpack_from("<I", data, start + 48)
    struct.pack_into("<I", data, start + 52, zlib.crc32(data[start + FIRST_RECORD : start + free]))
    header = data[start : start + 120] + data[start + 128 : start + FIRST_RECORD]
    struct.pack_into("<I", data, start + 124, zlib.crc32(header))


def chunks(records: t.Iterable[Record], most: int | None = None) -> list[bytes]:
    """Return the chunks that hold these records, at most so many in each."""
    open_chunk = _Chunk()
    full: list[bytes] = []
    for count, record in enumerate(records, 1):
        header_id = count if record.header_id is None else record.header_id
        if len(open_chunk.ids) == most or not open_chunk.add(record, header_id):
            assert open_chunk.ids, "a record is larger than a chunk"
            full.append(open_chunk.finish())
            open_chunk = _Chunk()
            assert open_chunk.add(record, header_id), "a record is larger than a chunk"
    return [*full, open_chunk.finish()]


def fitting(record: Record) -> int:
    """Return how many times a record fits into a chunk."""
    chunk = _Chunk()
    while chunk.add(record, 1):
        pass
    return len(chunk.ids)


def log_of(parts: t.Sequence[bytes], *, is_dirty: bool = False, count: int | None = None, first: int = 0) -> bytes:
    """Return a log of these chunks. count: how many the header names, first: which of them is the oldest."""
    count = len(parts) if count is None else count
    last = (first - 1) % max(count, 1)
    header = bytearray(HEADER_SIZE)
    struct.pack_into("<8sQQQIHHHH", header, 0, b"ElfFile", first, last, 0, 128, 1, 3, HEADER_SIZE, count)
    struct.pack_into("<II", header, 120, int(is_dirty), zlib.crc32(header[:120]))
    return bytes(header) + b"".join(parts)


def log(records: t.Iterable[Record], most: int | None = None) -> bytes:
    """Return a log with these records, at most so many in each chunk."""
    return log_of(chunks(records, most))
