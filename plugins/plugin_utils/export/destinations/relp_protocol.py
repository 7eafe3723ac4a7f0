# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of RELP, the Reliable Event Logging Protocol, version 0: what is sent, and what a receiver says to it.

Source: the specification that comes with librelp (relp.html). A frame is ``TXNR SP COMMAND SP DATALEN [SP DATA] LF``;
the receiver's ``rsp`` has the number of the frame that it is about.
"""

from __future__ import annotations

import re
import typing as t

OPEN, SYSLOG, CLOSE = "open", "syslog", "close"
# The abilities that the client offers. librelp takes version 0 and 1; nothing here needs more than 0.
OFFERS = b"relp_version=0\nrelp_software=bulwark.servers\ncommands=syslog"

_HEADER = re.compile(rb"(\d{1,9}) ([A-Za-z]{1,32}) (\d{1,9})([ \n])")
_HEADER_LIMIT = 64
_DATA_LIMIT = 64 * 1024
_STATUS = re.compile(rb"(\d{3})(?:[ \n]|\Z)")
_REASON_LIMIT = 200


class RelpError(Exception):
    """The receiver speaks no RELP; the message says what it sent instead."""


class Response(t.NamedTuple):
    """A reply of the receiver. number: of the frame that it is about, 0 for a hint. status: 200 if it went well."""

    number: int
    command: str
    status: int
    text: str


def frame(number: int, command: str, data: bytes = b"") -> bytes:
    """Return a frame. number: 1 to 999,999,999, rising within a session."""
    if not data:
        return b"%d %b 0\n" % (number, command.encode())
    return b"%d %b %d %b\n" % (number, command.encode(), len(data), data)


class ResponseReader:
    """Takes what arrives, in any parts, and gives the responses that are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, part: bytes) -> list[Response]:
        """Return the responses that this part completes; raise RelpError."""
        self._buffer += part
        responses = []
        position = 0
        while (parsed := self._next(position)) is not None:
            response, position = parsed
            responses.append(response)
        del self._buffer[:position]
        return responses

    def _next(self, position: int) -> tuple[Response, int] | None:
        """Return the response at a position and where it ends, None where more has to arrive first."""
        header = _HEADER.match(self._buffer, position)
        if header is None:
            rest = bytes(self._buffer[position : position + _HEADER_LIMIT])
            if len(rest) < _HEADER_LIMIT and b"\n" not in rest:
                return None
            raise RelpError(f"it says '{rest[:40].decode('ascii', 'backslashreplace')}', which is no RELP")
        number, length = int(header[1]), int(header[3])
        command = header[2].decode("ascii")
        if header[4] == b"\n" and length == 0:
            return _response(number, command, b""), header.end()
        if header[4] == b"\n" or length > _DATA_LIMIT:
            raise RelpError(f"it announces {length} bytes of data and sends others, or more than {_DATA_LIMIT}")
        end = header.end() + length
        if len(self._buffer) <= end:
            return None
        if self._buffer[end : end + 1] != b"\n":
            raise RelpError(f"its data does not end after the {length} bytes that it announced")
        return _response(number, command, bytes(self._buffer[header.end() : end])), end + 1


def _response(number: int, command: str, data: bytes) -> Response:
    text = data[:_REASON_LIMIT].decode("utf-8", "replace")
    if command != "rsp":
        return Response(number, command, 0, text)
    status = _STATUS.match(data)
    if status is None:
        raise RelpError(f"its response '{text[:40]}' has no status")
    return Response(number, command, int(status[1]), text)
