# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read records of flows that something else has kept, so that a host's history need not begin today."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import (
    azure,
    line_formats,
    pairs,
    zeek,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import FieldError, Flow

CONNTRACK = "conntrack"
AWS_VPC = "aws_vpc"
AZURE_NSG, AZURE_VNET = "azure_nsg", "azure_vnet"
ZEEK = "zeek"
NFDUMP = "nfdump"
FORMS = (AWS_VPC, AZURE_NSG, AZURE_VNET, CONNTRACK, NFDUMP, ZEEK)
_DOCUMENTS = (AZURE_NSG, AZURE_VNET)

LONGEST_LINE = 64 * 1024
LARGEST_DOCUMENT = 64 * 1024 * 1024
MOST_FLOWS = 1_000_000
_MOST_PROBLEMS = 20


class Records(t.NamedTuple):
    """Records of a file. lines: how many were looked at. damaged: how many of them were not understood.

    unit: what they are: lines, or tuples of a document. problems: what is wrong with the first of those that were not
    understood, each a sentence that names the line. cut: there was more than is
    read at once, which is not in ``flows``.
    """

    flows: list[Flow]
    lines: int
    damaged: int
    problems: list[str]
    cut: bool
    unit: str = "line"


class _Reader(t.Protocol):
    def line(self, line: str) -> Flow | None:
        """Return the flow that a line is about, None where it is about none."""


class _Azure:
    line = staticmethod(azure.line)


def read(form: str, stream: t.BinaryIO, now: float, most: int = MOST_FLOWS) -> Records:
    """Return the flows of a stream of bytes.

    form: one of ``FORMS``. now: when it was made, for conntrack, which has no times. most: how many flows to keep.
    Records that have each direction for itself are put together. Raises ValueError for an unknown form. Reads no line
    beyond ``LONGEST_LINE`` bytes and no document beyond ``LARGEST_DOCUMENT``.
    """
    if form not in FORMS:
        raise ValueError("the form of flow records '%s' is not one of %s" % (form, ", ".join(FORMS)))
    kept = _Kept("tuple" if form in _DOCUMENTS else "line")
    reader: _Reader | None = None
    for text in _azure(stream) if form in _DOCUMENTS else _lines(stream):
        if len(kept.flows) >= most:
            return kept.records(cut=True)
        kept.lines += 1
        if isinstance(text, FieldError):
            kept.problem(text)
            continue
        if not text.strip() and form not in _DOCUMENTS:
            kept.empty += 1
            continue
        reader = reader or _reader(form, text, now)
        try:
            flow = reader.line(text)
        except FieldError as error:
            kept.problem(error)
            continue
        if flow is not None:
            kept.flows.append(flow)
    return kept.records(cut=False)


class _Kept:
    """Records that were read so far."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self.flows: list[Flow] = []
        self.problems: list[str] = []
        self.lines = 0
        self.empty = 0
        self.damaged = 0

    def records(self, cut: bool) -> Records:
        flows = pairs.together(self.flows)
        return Records(flows, self.lines - self.empty, self.damaged, self.problems, cut, self._unit)

    def problem(self, error: FieldError) -> None:
        self.damaged += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append("%s %d: %s" % (self._unit, self.lines, error))


def _reader(form: str, first: str, now: float) -> _Reader:
    if form == ZEEK:
        return zeek.ZeekJson() if first.lstrip().startswith("{") else zeek.ZeekTsv()
    if form in _DOCUMENTS:
        return _Azure()
    if form == CONNTRACK:
        return line_formats.Conntrack(now)
    return line_formats.AwsVpc() if form == AWS_VPC else line_formats.Nfdump()


def _lines(stream: t.BinaryIO) -> t.Iterator[str | FieldError]:
    """Yield the lines of a stream, of those that are too long an error."""
    while True:
        line = stream.readline(LONGEST_LINE)
        if not line:
            return
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST_LINE)
            yield FieldError("it is longer than %d bytes" % LONGEST_LINE)
            continue
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _azure(stream: t.BinaryIO) -> t.Iterator[str | FieldError]:
    content = stream.read(LARGEST_DOCUMENT + 1)
    if len(content) > LARGEST_DOCUMENT:
        yield FieldError("the document is larger than %d bytes; give it in parts" % LARGEST_DOCUMENT)
        return
    try:
        tuples = azure.document(content.decode("utf-8-sig", "replace"))
    except FieldError as error:
        yield error
        return
    yield from tuples
