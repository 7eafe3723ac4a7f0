# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Splunk's HTTP Event Collector as its documentation describes it, stricter where Splunk is lenient.

Indexed events outlive it in a journal. Events that it took and did not index are lost when it is killed, as those in
Splunk's memory. On a token with acknowledgement an id is true once, when its events are indexed, after ``lag``
questions.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t
import uuid

from tests.support.receivers.exchange import Reply, Request, json_reply
from tests.support.receivers.process import Journal

TOKEN = "11111111-2222-4333-8444-555555555555"
_KEYS = frozenset({"time", "host", "source", "sourcetype", "index", "fields", "event"})
# Splunk's advice: below 1 MB before compression.
_LARGEST_REQUEST = 1_000_000
_TEXTS = {
    0: (200, "Success"),
    1: (403, "Token disabled"),
    2: (401, "Token is required"),
    3: (401, "Invalid authorization"),
    4: (403, "Invalid token"),
    5: (400, "No data"),
    6: (400, "Invalid data format"),
    7: (400, "Incorrect index"),
    8: (500, "Internal server error"),
    9: (503, "Server is busy"),
    10: (400, "Data channel is missing"),
    11: (400, "Invalid data channel"),
    12: (400, "Event field is required"),
    13: (400, "Event field cannot be blank"),
    14: (400, "ACK is disabled"),
    15: (400, "Error in handling indexed fields"),
    16: (400, "Query string authorization is not enabled"),
    17: (200, "HEC is healthy"),
    18: (503, "HEC is unhealthy, queues are full"),
    19: (503, "HEC is unhealthy, ack service unavailable"),
    20: (503, "HEC is unhealthy, queues are full, ack service unavailable"),
    21: (400, "Invalid token"),
    22: (400, "Token disabled"),
    23: (503, "Server is shutting down"),
    24: (200, "HEC queue is approaching its capacity limit"),
    25: (200, "HEC ACK is approaching its capacity limit"),
    26: (429, "HEC queue is at capacity and cannot process any more requests"),
    27: (429, "HEC ACK channel is at capacity and cannot process any more requests"),
    28: (400, "Data channel is missing. Enable sticky sessions."),
}
CODES = tuple(_TEXTS)


class _Refused(Exception):  # noqa: N818 (it is the usual course of a refusal, not an error of the server)
    def __init__(self, code: int, event: int | None = None) -> None:
        super().__init__(code)
        self.reply = code_reply(code, event)


def code_reply(code: int, event: int | None = None, **more: t.Any) -> Reply:
    """Return the reply for a code of HEC. event: the number of the event that is wrong."""
    status, text = _TEXTS[code]
    number = {} if event is None else {"invalid-event-number": event}
    return json_reply(status, {"text": text, "code": code, **number, **more})


def uid(envelope: t.Mapping[str, t.Any]) -> str:
    """Return the uid of an event in its envelope, in the format cim or ocsf."""
    event = envelope["event"]
    return str(event["id"] if "id" in event else event["metadata"]["uid"])


@dataclasses.dataclass
class _Taken:
    """A request that waits to be indexed."""

    events: list[dict[str, t.Any]]
    lag: int


class Hec:
    """The application. indexed: what is searchable, with repetitions.

    acknowledges: whether the token has indexer acknowledgement. lag: questions for an id before its events are indexed.
    keeps_before: whether the events before a wrong one are taken. indexes: those that the token may write to.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        acknowledges: bool = True,
        lag: int = 1,
        keeps_before: bool = False,
        indexes: t.Sequence[str] = ("main", "security"),
        is_disabled: bool = False,
    ) -> None:
        self._journal = journal
        self.indexed: list[dict[str, t.Any]] = journal.read() if journal else []
        self._acknowledges, self._lag, self._keeps_before = acknowledges, lag, keeps_before
        self._indexes, self._is_disabled = frozenset(indexes), is_disabled
        self._channels: dict[str, dict[int, _Taken]] = {}
        self._next: dict[str, int] = {}

    def __call__(self, request: Request) -> Reply:
        """Reply to a request as HEC does."""
        try:
            return self._route(request)
        except _Refused as refusal:
            return refusal.reply

    def uids(self) -> list[str]:
        """Return the uid of each indexed event, with repetitions."""
        return [uid(envelope) for envelope in self.indexed]

    def _route(self, request: Request) -> Reply:
        if request.method != "POST":
            return json_reply(405, {"text": "Method Not Allowed", "code": 405})
        if request.path in ("/services/collector", "/services/collector/event", "/services/collector/event/1.0"):
            self._authorize(request)
            return self._take(request)
        if request.path == "/services/collector/ack":
            self._authorize(request)
            return self._acknowledge(request)
        return json_reply(404, {"text": "The requested URL was not found on this server.", "code": 404})

    def _authorize(self, request: Request) -> None:
        if "token=" in request.query:
            raise _Refused(16)
        authorization = request.headers.get("authorization")
        if not authorization:
            raise _Refused(2)
        scheme, _, token = authorization.partition(" ")
        if scheme != "Splunk":
            raise _Refused(3)
        if token != TOKEN:
            raise _Refused(4)
        if self._is_disabled:
            raise _Refused(1)

    def _channel(self, request: Request) -> str:
        channel = request.headers.get("x-splunk-request-channel")
        match = re.search(r"(?:^|&)channel=([^&]*)", request.query)
        channel = channel or (match[1] if match else None)
        if channel is None:
            raise _Refused(10)
        try:
            uuid.UUID(channel)
        except ValueError:
            raise _Refused(11) from None
        return channel

    def _take(self, request: Request) -> Reply:
        channel = self._channel(request) if self._acknowledges else None
        content = request.content()
        if len(content) > _LARGEST_REQUEST:
            return json_reply(413, {"text": "The request is too large", "code": 413})
        events, problem = self._events(content.decode("utf-8", "replace"))
        if problem is not None and not self._keeps_before:
            raise problem
        if channel is None:
            self._index(events)
            taken = code_reply(0)
        else:
            ack_id = self._next.get(channel, 0)
            self._next[channel] = ack_id + 1
            self._channels.setdefault(channel, {})[ack_id] = _Taken(events, self._lag)
            taken = code_reply(0, ackId=ack_id)
        if problem is not None:
            raise problem
        return taken

    def _events(self, text: str) -> tuple[list[dict[str, t.Any]], _Refused | None]:
        """Return the events before the first wrong one, and what is wrong."""
        decoder = json.JSONDecoder(parse_constant=_no_constant)
        events: list[dict[str, t.Any]] = []
        position = len(text) - len(text.lstrip())
        while position < len(text):
            try:
                envelope, position = decoder.raw_decode(text, position)
            except ValueError:
                return events, _Refused(6, len(events))
            code = self._judge(envelope)
            if code:
                return events, _Refused(code, len(events))
            events.append(envelope)
            position += len(text[position:]) - len(text[position:].lstrip())
        return events, None if events else _Refused(5)

    def _judge(self, envelope: t.Any) -> int:
        if not isinstance(envelope, dict) or not envelope.keys() <= _KEYS:
            return 6
        if "event" not in envelope:
            return 12
        if envelope["event"] in ("", {}, None):
            return 13
        if "index" in envelope and envelope["index"] not in self._indexes:
            return 7
        if not isinstance(envelope.get("time", 0), (int, float)):
            return 6
        if not all(isinstance(envelope.get(name, ""), str) for name in ("host", "source", "sourcetype", "index")):
            return 6
        fields = envelope.get("fields", {"any": "any"})
        is_flat = isinstance(fields, dict) and fields and all(isinstance(value, str) for value in fields.values())
        return 0 if is_flat else 15

    def _acknowledge(self, request: Request) -> Reply:
        if not self._acknowledges:
            raise _Refused(14)
        channel = self._channel(request)
        body = request.json()
        if not isinstance(body, dict) or not isinstance(body.get("acks"), list) or not body["acks"]:
            raise _Refused(6)
        waiting = self._channels.get(channel, {})
        acks = {}
        for ack_id in body["acks"]:
            taken = waiting.get(ack_id)
            acks[str(ack_id)] = False
            if taken is None:
                continue
            taken.lag -= 1
            if taken.lag <= 0:
                self._index(taken.events)
                # An id that was true once is forgotten.
                del waiting[ack_id]
                acks[str(ack_id)] = True
        return json_reply(200, {"acks": acks})

    def _index(self, events: list[dict[str, t.Any]]) -> None:
        if self._journal is not None:
            self._journal.append(*events)
        self.indexed += events


def _no_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not part of JSON")
