# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send events to Splunk's HTTP Event Collector, and wait until Splunk has indexed them.

A reply of 200 says that Splunk has an event in memory. With acknowledgement (``acknowledge``) an event counts as sent
when Splunk said that it is indexed: requests go through a channel, each gets an id, and the ids are asked for until
they are true. See https://help.splunk.com, "About HTTP Event Collector Indexer Acknowledgment".
"""

from __future__ import annotations

import http.cookies
import json
import time
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import (
    hec_events,
    hec_replies,
    http_options,
    secrets,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import (
    HttpClient,
    Response,
    check_header,
    compressed,
    require,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receipts import Pause, Receipts
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.template import Template

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    **secrets.arguments("token"),
    "format": {"type": "str", "choices": list(hec_events.FORMATS), "default": "cim"},
    "index": {"type": "str"},
    "source": {"type": "str", "default": "bulwark.servers"},
    "sourcetype": {"type": "str"},
    "fields": {"type": "dict", "default": {}},
    "acknowledge": {"type": "bool", "default": True},
    "acknowledge_timeout": {"type": "float", "default": 120.0},
    "max_event": {"type": "int", "default": 1_000_000},
    **http_options.ARGUMENTS,
}

_PATH = "/services/collector"
# Splunk's advice is less than 1 MB; its limit counts before compression.
_LARGEST_REQUEST = 1_000_000
# With acknowledgement several requests wait for it together.
_REQUESTS = 4
_MOST_EVENTS = 1_000
# An exporter that finds so many wrong events in one batch goes on with the rest later.
_MOST_INVALID = 20
_FIRST_QUESTION, _LAST_QUESTION = 0.25, 10.0  # seconds between questions for acknowledgements, growing
_LONGEST_WAIT = 300.0
_MOST_COOKIES = 20


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for settings that cannot work; makes no connection."""
    require()
    receiver = _url(settings)
    http_options.parse(settings, receiver)
    token = secrets.read(settings, "token", required=True) or ""
    check_header("token", "Authorization", f"Splunk {token}")
    seconds = settings["acknowledge_timeout"]
    if not 0 < seconds <= _LONGEST_WAIT:
        raise ExportError(f"acknowledge_timeout is {seconds:g}; write seconds above 0 and up to {_LONGEST_WAIT:g}")
    if not 10_000 <= settings["max_event"] <= _LARGEST_REQUEST:
        raise ExportError(
            f"max_event is {settings['max_event']}; write 10000 to {_LARGEST_REQUEST}, as Splunk takes less than 1 MB"
        )
    _envelope(settings)


def open_receiver(settings: t.Mapping[str, t.Any], _destination_name: str) -> SplunkReceiver:
    """Return a receiver; raise ExportError. It makes its connection with the first ``send``."""
    check(settings)
    return SplunkReceiver(settings)


class SplunkReceiver:
    """One open HTTP Event Collector."""

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        receiver = _url(settings)
        self._path = receiver.target
        self._client = HttpClient(receiver, http_options.parse(settings, receiver))
        self._token = secrets.read(settings, "token", required=True)
        self._envelope = _envelope(settings)
        self.acknowledge = bool(settings["acknowledge"])
        self._acknowledge_timeout = float(settings["acknowledge_timeout"])
        self._cookies: dict[str, str] = {}
        self._channel: str | None = None
        self._pause = Pause()
        self.batch_events = _MOST_EVENTS
        self.batch_bytes = _LARGEST_REQUEST * (_REQUESTS if self.acknowledge else 1)

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return an event in its envelope; raise UnfitError."""
        return self._envelope.prepare(event, key)

    def send(self, batch: t.Sequence[Prepared]) -> list[Receipt]:
        """Send a batch and return a receipt for each; raise UnavailableError where Splunk took nothing."""
        self._pause.check()
        receipts = Receipts(len(batch))
        sending = _Sending(self, batch, receipts)
        reason: str | None = None
        try:
            self._open_channel()
            for group in _groups(batch):
                sending.send(group)
        except UnavailableError as error:
            if not sending.pending and not receipts.has_any:
                self._channel = None
                raise
            reason = str(error)
            self._pause.begin(error)
        if sending.pending and not self._await(sending.pending, receipts):
            reason = reason or f"Splunk did not acknowledge it within {self._acknowledge_timeout:g} seconds"
        if reason is not None:
            # Splunk may have restarted: its ids then begin again, and old ones must not be taken for new ones.
            self._channel = None
        return receipts.all(reason or "Splunk refused too many events of its batch")

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def post(self, body: bytes) -> Response:
        """Send events to the collector."""
        return self._request("/event", compressed(body), {"Content-Encoding": "gzip"})

    def _open_channel(self) -> None:
        """Make sure that the token acknowledges, before the first event goes to it."""
        if self.acknowledge and self._channel is None:
            self._channel = str(uuid.uuid4())
            try:
                self._question([0])
            except UnavailableError:
                self._channel = None
                raise

    def _await(self, pending: dict[int, list[int]], receipts: Receipts) -> bool:
        """Ask for acknowledgements until all are there, or return False when the time is up. pending: events by id."""
        end = time.monotonic() + self._acknowledge_timeout
        wait = _FIRST_QUESTION
        while pending:
            try:
                acknowledged = self._question(list(pending))
            except UnavailableError:
                # Splunk may still acknowledge later, until the time is up.
                acknowledged = set()
            for ack_id in acknowledged:
                receipts.accept(pending.pop(ack_id))
            left = end - time.monotonic()
            if pending and left <= 0:
                return False
            if pending:
                time.sleep(min(wait, left))
                wait = min(wait * 1.5, _LAST_QUESTION)
        return True

    def _question(self, ack_ids: list[int]) -> set[int]:
        body = json.dumps({"acks": ack_ids}).encode()
        return hec_replies.acknowledged(self._request("/ack", body, {}), ack_ids)

    def _request(self, path: str, body: bytes, headers: t.Mapping[str, str]) -> Response:
        all_headers = {"Authorization": f"Splunk {self._token}", "Content-Type": "application/json", **headers}
        if self._channel is not None:
            all_headers["X-Splunk-Request-Channel"] = self._channel
        if self._cookies:
            all_headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        response = self._client.request("POST", self._path + path, body, all_headers)
        self._keep_cookies(response)
        return response

    def _keep_cookies(self, response: Response) -> None:
        """Keep the cookies by which a load balancer leads a client to the same server, which knows the channel."""
        for line in response.cookies:
            try:
                morsels = http.cookies.SimpleCookie(line).values()
            except http.cookies.CookieError:
                continue
            for morsel in morsels:
                if len(self._cookies) < _MOST_COOKIES or morsel.key in self._cookies:
                    self._cookies[morsel.key] = morsel.coded_value


class _Sending:
    """The requests of one batch. pending: the events that wait for an acknowledgement, by its id."""

    def __init__(self, receiver: SplunkReceiver, batch: t.Sequence[Prepared], receipts: Receipts) -> None:
        self._receiver, self._batch, self._receipts = receiver, batch, receipts
        self._invalid = 0
        self.pending: dict[int, list[int]] = {}

    def send(self, group: list[int]) -> None:
        """Send events, again without each that Splunk refuses; raise UnavailableError."""
        while group and self._invalid < _MOST_INVALID:
            response = self._receiver.post(b"\n".join(self._batch[index].body for index in group))
            verdict = hec_replies.judge(response, len(group))
            if verdict.is_taken:
                self._take(group, verdict.ack_id)
                return
            if verdict.invalid is None and len(group) > 1:
                # It doesn't say which: the halves will.
                middle = len(group) // 2
                self.send(group[:middle])
                group = group[middle:]
                continue
            self._invalid += 1
            # Whether it took those before the wrong one is nowhere documented, so they are due again.
            wrong = group.pop(verdict.invalid or 0)
            self._receipts.refuse(wrong, verdict.reason)

    def _take(self, group: list[int], ack_id: int | None) -> None:
        if not self._receiver.acknowledge:
            self._receipts.accept(group)
            return
        if ack_id is None:
            raise UnavailableError(
                "Splunk took events without an acknowledgement; switch on indexer acknowledgement for the token in "
                "Splunk, or set acknowledge to false"
            )
        if ack_id in self.pending:
            # The id will be true for the later events alone.
            self.pending.clear()
            raise UnavailableError("Splunk gave an acknowledgement id twice, so it lost what it took before")
        self.pending[ack_id] = group


def _groups(batch: t.Sequence[Prepared]) -> t.Iterator[list[int]]:
    """Return the indices of a batch in requests below the greatest size."""
    group: list[int] = []
    size = 0
    for index, prepared in enumerate(batch):
        length = len(prepared.body) + 1
        if group and size + length > _LARGEST_REQUEST:
            yield group
            group, size = [], 0
        group.append(index)
        size += length
    if group:
        yield group


def _url(settings: t.Mapping[str, t.Any]) -> http_options.Url:
    """Return the collector's address, whose target is its path without an endpoint."""
    parsed = http_options.url(settings["url"], "url")
    path = parsed.target.rstrip("/")
    for endpoint in ("/event/1.0", "/event", "/raw", "/health"):
        if path.endswith(_PATH + endpoint):
            path = path.removesuffix(endpoint)
    if path and not path.endswith(_PATH):
        raise ExportError(
            f"url has the path {path[:200]}; write the address of the collector, such as https://HOST:8088"
        )
    return http_options.Url(parsed.scheme, parsed.host, parsed.port, path or _PATH)


def _envelope(settings: t.Mapping[str, t.Any]) -> hec_events.Envelope:
    name = settings["format"]
    names = {option: settings.get(option) for option in ("index", "source", "sourcetype")}
    names["sourcetype"] = names["sourcetype"] or hec_events.SOURCETYPES[name]
    for option, value in names.items():
        if value is not None and (not value.isprintable() or not value.strip()):
            raise ExportError(f"{option} is empty or has characters that nobody can see; correct it")
    return hec_events.Envelope(
        render=hec_events.renderer(name),
        metadata={option: value for option, value in names.items() if value},
        fields={str(field): Template(f"fields: {field}", value) for field, value in settings["fields"].items()},
        max_event=settings["max_event"],
    )
