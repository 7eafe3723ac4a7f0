# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that a test receiver gets, and its replies."""

from __future__ import annotations

import dataclasses
import gzip
import json
import typing as t
import zlib


class BadBodyError(Exception):
    """A request's body cannot be read; a receiver replies with status 400."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as it came. headers: lower-case names. client: the subject of the client's certificate, if it has one.

    path has no query; query is the raw text behind the question mark.
    """

    method: str
    path: str
    query: str
    headers: t.Mapping[str, str]
    body: bytes
    tls: str | None
    client: str | None

    def content(self) -> bytes:
        """Return the body without its Content-Encoding; raise BadBodyError."""
        encoding = self.headers.get("content-encoding", "identity")
        if encoding == "identity":
            return self.body
        if encoding != "gzip":
            raise BadBodyError(f"Content-Encoding {encoding} is not supported")
        try:
            return gzip.decompress(self.body)
        except (OSError, EOFError, zlib.error) as error:
            raise BadBodyError(f"the body is no gzip: {error}") from error

    def json(self) -> t.Any:
        """Return the body's JSON value; raise BadBodyError."""
        try:
            return json.loads(self.content().decode("utf-8"), parse_constant=_no_constant)
        except ValueError as error:
            raise BadBodyError(f"the body is not JSON: {error}") from error


def _no_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not part of JSON")


@dataclasses.dataclass(frozen=True)
class Reply:
    """A reply; Content-Length comes from the body."""

    status: int
    body: bytes = b""
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


Application = t.Callable[[Request], Reply]


def json_reply(status: int, value: t.Any, headers: t.Mapping[str, str] | None = None) -> Reply:
    """Return a reply with a JSON body."""
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})
