# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send events to a data stream of Elasticsearch or OpenSearch, each once.

Each event is created (bulk ``create``) with ``metadata.uid`` as its ``_id``. The receiver refuses a second one with the
same id, so that a batch can be sent again whenever nobody knows what became of it. This holds within one backing index
of the data stream: ids of older ones, before a rollover, count no more.
"""

from __future__ import annotations

import functools
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import (
    bulk_replies,
    fit,
    http,
    http_options,
    receipts,
    search_clients,
    secrets,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import ecs, ocsf
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receipts import Pause
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
)

# Each format's data stream, for which ``content/export/receivers`` has an index template.
STREAMS: t.Mapping[str, str] = {"ecs": "logs-bulwark.findings-default", "ocsf": "logs-bulwark.ocsf-default"}
# Elasticsearch takes 100 MB in a request, managed ones 10 MB and less. Larger requests are no faster.
_BATCH_EVENTS, _BATCH_BYTES = 1_000, 4_000_000
_LEAST_EVENT, _MOST_EVENT = 10_000, 4_000_000
# Elasticsearch's rules for the name of a data stream.
_FORBIDDEN = re.compile(r'[\\/*?"<>| ,#:]|[^\x21-\x7e]')

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "product": {"type": "str", "choices": list(search_clients.PACKAGES), "default": "elasticsearch"},
    "data_stream": {"type": "str"},
    "format": {"type": "str", "choices": list(STREAMS), "default": "ecs"},
    **secrets.arguments("api_key"),
    "username": {"type": "str"},
    **secrets.arguments("password"),
    "max_event": {"type": "int", "default": 1_000_000},
    **http_options.ARGUMENTS,
}


class ElasticReceiver:
    """An open data stream; see ``Receiver``."""

    batch_events = _BATCH_EVENTS
    batch_bytes = _BATCH_BYTES

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        receiver = _url(settings)
        self._origin = receiver.origin
        self._client = search_clients.open_client(
            settings["product"], receiver, http_options.parse(settings, receiver), _credentials(settings)
        )
        self._stream = _stream(settings)
        self._render = _renderer(settings["format"], self._stream)
        self._largest = settings["max_event"]
        self._pause = Pause()

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return an event as a document of at most ``max_event`` bytes; raise UnfitError."""
        fitted = fit.fit(event, self._largest, self._render)
        return Prepared(event["metadata"]["uid"], key, fitted.body, fitted.removed, fitted.shortened)

    def send(self, batch: t.Sequence[Prepared]) -> list[Receipt]:
        """Create each event of a batch; raise UnavailableError where nobody knows of any what became of it."""
        return receipts.collected(
            self._pause, len(batch), lambda results: self._send(range(len(batch)), batch, results)
        )

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _send(self, indices: t.Sequence[int], batch: t.Sequence[Prepared], results: list[Receipt | None]) -> None:
        """Send the events of some indices, in halves where the receiver takes no request of that size."""
        events = [batch[index] for index in indices]
        if not events:
            return
        try:
            reply = self._client.bulk(self._stream, b"".join(map(_operation, events)))
        except search_clients.TooLargeError:
            if len(indices) == 1:
                reason = f"it is larger than {self._origin} takes (status 413); lower max_event, then send it again"
                results[indices[0]] = Receipt("refused", reason)
                return
            middle = len(indices) // 2
            self._send(indices[:middle], batch, results)
            self._send(indices[middle:], batch, results)
            return
        for index, receipt in zip(indices, bulk_replies.receipts(self._origin, reply, events), strict=True):
            results[index] = receipt


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for settings that cannot work; makes no connection."""
    http.require()
    search_clients.require(settings["product"])
    receiver = _url(settings)
    http_options.parse(settings, receiver)
    _credentials(settings)
    stream = _stream(settings)
    if not 1 <= len(stream) <= 200 or _FORBIDDEN.search(stream) or stream != stream.lower() or stream[0] in "-_+.":
        raise ExportError(
            f"data_stream '{stream[:200]}' cannot be the name of a data stream; write lower-case letters, digits, dots "
            "and dashes, with a letter or a digit first"
        )
    if not _LEAST_EVENT <= settings["max_event"] <= _MOST_EVENT:
        raise ExportError(f"max_event is {settings['max_event']}; write bytes from {_LEAST_EVENT} to {_MOST_EVENT}")


def open_receiver(
    settings: t.Mapping[str, t.Any],
    destination_name: str,  # noqa: ARG001 - every kind is opened alike, and a document has no use for the name
) -> ElasticReceiver:
    """Return a receiver, which connects when it sends; raise ExportError."""
    check(settings)
    return ElasticReceiver(settings)


def _operation(prepared: Prepared) -> bytes:
    return b'{"create":{"_id":%s}}\n%s\n' % (json.dumps(prepared.uid).encode(), prepared.body)


def _renderer(name: str, stream: str) -> t.Callable[[t.Mapping[str, t.Any]], fit.Rendered]:
    return functools.partial(ecs.render, data_stream=stream) if name == "ecs" else _with_timestamp


def _with_timestamp(event: t.Mapping[str, t.Any]) -> fit.Rendered:
    """Return an OCSF event with the one field that a data stream requires."""
    return ocsf.render({"@timestamp": event.get("time"), **event})


def _stream(settings: t.Mapping[str, t.Any]) -> str:
    stream = settings.get("data_stream")
    return STREAMS[settings["format"]] if stream is None else str(stream)


def _url(settings: t.Mapping[str, t.Any]) -> http_options.Url:
    parsed = http_options.url(settings["url"], "url")
    if "?" in parsed.target:
        raise ExportError("url has a query (?...), which the receiver's address has no use for; remove it")
    return parsed


def _credentials(settings: t.Mapping[str, t.Any]) -> search_clients.Credentials:
    api_key, password = secrets.read(settings, "api_key"), secrets.read(settings, "password")
    username = settings.get("username")
    if api_key is not None and (username is not None or password is not None):
        raise ExportError("api_key and username with password are given; keep one of them")
    if (username is None) != (password is None):
        raise ExportError("username and password belong together; give both or none")
    if api_key is not None:
        if settings["product"] == "opensearch":
            raise ExportError("OpenSearch has no api_key; give username and password, or a client certificate")
        http.check_header("api_key", "Authorization", f"ApiKey {api_key}")
    if username is not None and ":" in username:
        raise ExportError("username has a colon, which a user of HTTP cannot have; correct it")
    if api_key is None and username is None and settings.get("certificate") is None:
        raise ExportError("the credentials are missing; give api_key, username and password, or a client certificate")
    return search_clients.Credentials(api_key, username, password)
