# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send events to a webhook: any address that takes JSON over HTTP, one event a request or several.

An event counts as sent with a status of 2xx. Each request has the uid of its event as ``Idempotency-Key`` and
``webhook-id``, the same each time, by which a receiver tells that it has it already.
"""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import (
    http_options,
    secrets,
    webhook_messages,
    webhook_replies,
    webhook_signature,
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
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.template import ESCAPES, Translation

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    # The addresses of Slack, Teams and others are secrets themselves.
    **secrets.arguments("url"),
    "method": {"type": "str", "choices": ["POST", "PUT", "PATCH"], "default": "POST"},
    "headers": {"type": "dict", "default": {}},
    "template": {"type": "dict"},
    "translations": {
        "type": "dict",
        "default": {},
    },
    "escape": {"type": "str", "choices": list(ESCAPES), "default": "none"},
    **secrets.arguments("token"),
    **secrets.arguments("secret"),
    "events_per_request": {"type": "int", "default": 1},
    "batch": {"type": "str", "choices": ["array", "lines"], "default": "array"},
    "compress": {"type": "bool", "default": False},
    "max_body": {"type": "int", "default": 1_000_000},
    "success_statuses": {"type": "list", "elements": "int", "default": []},
    "success_text": {"type": "str"},
    **http_options.ARGUMENTS,
}

# Requests of one event in a batch: few, as a killed exporter sends them again.
_SINGLE_EVENTS = 20
_MOST_EVENTS = 1_000
_SMALLEST_BODY, _LARGEST_BODY = 1_000, 16_000_000
# Divisions of requests that a receiver refuses, in one batch.
_MOST_DIVISIONS = 64
# Seconds that a batch waits in all for a receiver that wants fewer requests, and at one time.
_PATIENCE, _LONGEST_WAIT = 60.0, 15.0
_USUAL_WAIT = 1.0
_TRANSLATION = frozenset({"field", "values", "otherwise"})


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for settings that cannot work; makes no connection."""
    require()
    http_options.parse(settings, _url(settings))
    _headers(settings)
    _key(settings)
    if not 1 <= settings["events_per_request"] <= _MOST_EVENTS:
        raise ExportError(f"events_per_request is {settings['events_per_request']}; write 1 to {_MOST_EVENTS}")
    if not _SMALLEST_BODY <= settings["max_body"] <= _LARGEST_BODY:
        raise ExportError(f"max_body is {settings['max_body']}; write {_SMALLEST_BODY} to {_LARGEST_BODY} bytes")
    for status in settings["success_statuses"]:
        if not 400 <= status < 600:
            raise ExportError(f"success_statuses has {status}; write statuses from 400 to 599, 2xx are success anyway")
    _message(settings)


def open_receiver(settings: t.Mapping[str, t.Any], _destination_name: str) -> WebhookReceiver:
    """Return a receiver; raise ExportError. It makes its connection with the first ``send``."""
    check(settings)
    return WebhookReceiver(settings)


class WebhookReceiver:
    """One open webhook."""

    def __init__(self, settings: t.Mapping[str, t.Any]) -> None:
        url = _url(settings)
        self._origin, self._target = url.origin, url.target
        self._client = HttpClient(url, http_options.parse(settings, url))
        self._method, self._headers = settings["method"], _headers(settings)
        self._compress = settings["compress"]
        self._key = _key(settings)
        self._message = _message(settings)
        statuses = frozenset(settings["success_statuses"])
        self._success = webhook_replies.Success(statuses, settings.get("success_text"))
        self._per_request = settings["events_per_request"]
        self._pause = Pause()
        is_single = self._per_request == 1
        self.batch_events = _SINGLE_EVENTS if is_single else self._per_request
        room = settings["max_body"] - 2 - self._per_request * self._message.overhead
        self.batch_bytes = _SINGLE_EVENTS * settings["max_body"] if is_single else room

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return an event as the template writes it, without the token; raise UnfitError."""
        return self._message.prepare(event, key)

    def send(self, batch: t.Sequence[Prepared]) -> list[Receipt]:
        """Send a batch and return a receipt for each; raise UnavailableError where nothing of it was taken."""
        self._pause.check()
        receipts = Receipts(len(batch))
        delivery = _Delivery(self, batch, receipts)
        try:
            for start in range(0, len(batch), self._per_request):
                delivery.send(list(range(start, min(start + self._per_request, len(batch)))))
        except UnavailableError as error:
            if not receipts.has_any:
                raise
            self._pause.begin(error)
            return receipts.all(str(error))
        return receipts.all(delivery.blocked)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def deliver(self, events: t.Sequence[Prepared]) -> tuple[webhook_replies.Effect, str, float | None]:
        """Send a request, and return what its reply means, why, and the seconds to wait that it asks for."""
        response = self._request(events)
        effect, reason = webhook_replies.judge(response, self._success)
        wait = response.retry_after()
        return effect, f"{self._origin}: {reason}", _USUAL_WAIT if wait is None and response.status == 429 else wait

    def _request(self, events: t.Sequence[Prepared]) -> Response:
        body = self._message.body(events)
        if self._compress:
            body = compressed(body)
        message_id = webhook_messages.message_id(events)
        headers = {"content-type": self._message.content_type, "idempotency-key": message_id, **self._headers}
        if self._key is not None:
            headers |= webhook_signature.headers(self._key, message_id, time.time(), body)
        if self._compress:
            headers["content-encoding"] = "gzip"
        return self._client.request(self._method, self._target, body, headers)


class _Delivery:
    """The requests of one batch. blocked: why the receiver did not take some events that it may take later."""

    def __init__(self, receiver: WebhookReceiver, batch: t.Sequence[Prepared], receipts: Receipts) -> None:
        self._receiver, self._batch, self._receipts = receiver, batch, receipts
        self._divisions, self._patience = _MOST_DIVISIONS, _PATIENCE
        self.blocked: str | None = None

    def send(self, indices: list[int]) -> None:
        """Send events in one request, by halves where the receiver refuses several; raise UnavailableError."""
        effect, reason, wait = self._receiver.deliver([self._batch[index] for index in indices])
        while effect == "unavailable":
            # A receiver that wants one request a second is no reason to give up the rest of the batch.
            if not self._receipts.has_any or wait is None or wait > min(_LONGEST_WAIT, self._patience):
                raise UnavailableError(reason, wait)
            self._patience -= max(wait, _USUAL_WAIT)
            time.sleep(wait)
            effect, reason, wait = self._receiver.deliver([self._batch[index] for index in indices])
        if effect == "accepted":
            self._receipts.accept(indices)
        elif len(indices) > 1 and self._divisions > 0:
            self._divisions -= 1
            middle = len(indices) // 2
            self.send(indices[:middle])
            self.send(indices[middle:])
        elif len(indices) > 1 or effect == "blocked":
            self.blocked = reason
        else:
            self._receipts.refuse(indices[0], reason)


def _url(settings: t.Mapping[str, t.Any]) -> http_options.Url:
    text = secrets.read(settings, "url", required=True) or ""
    return http_options.url(text, "url", is_secret=True)


def _key(settings: t.Mapping[str, t.Any]) -> bytes | None:
    secret = secrets.read(settings, "secret")
    return webhook_signature.key(secret) if secret is not None else None


def _headers(settings: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the headers with the token in them."""
    token = secrets.read(settings, "token")
    headers = {}
    for name, value in settings["headers"].items():
        text = str(value)
        if webhook_messages.TOKEN_FIELD in text:
            if token is None:
                raise ExportError(f"headers: {name} has {{token}}, but token is missing; give one of its options")
            text = text.replace(webhook_messages.TOKEN_FIELD, token)
        elif str(name).lower() == "authorization":
            raise ExportError(
                f"headers: {name} has its secret in plain text; put the secret into token, and write {{token}} for it"
            )
        check_header("headers", str(name), text)
        if str(name).lower() in ("content-length", "host", "transfer-encoding", "connection", "content-encoding"):
            raise ExportError(f"headers: {name} belongs to the request itself; remove it")
        headers[str(name).lower()] = text
    return headers


def _message(settings: t.Mapping[str, t.Any]) -> webhook_messages.Message:
    given = settings.get("template")
    value = "{event}" if given is None else given
    template = webhook_messages.template(
        value, translations=_translations(settings["translations"]), escape=ESCAPES[settings["escape"]]
    )
    batch = settings["batch"] if settings["events_per_request"] > 1 else None
    return webhook_messages.Message(value, template, settings["max_body"], secrets.read(settings, "token"), batch)


def _translations(given: t.Mapping[str, t.Any]) -> dict[str, Translation]:
    """Return the fields that ``translations`` defines; raise ExportError."""
    translations = {}
    for name, row in given.items():
        if not isinstance(row, t.Mapping) or not row.keys() <= _TRANSLATION or not isinstance(row.get("field"), str):
            raise ExportError(
                f"translations: {name} needs field, the name of another field, with values, and otherwise by choice"
            )
        values = row.get("values")
        if not isinstance(values, t.Mapping) or not values:
            raise ExportError(f"translations: {name} needs values, the receiver's word for each value of the field")
        if row["field"] in given:
            raise ExportError(f"translations: {name} is made of {row['field']}, which is a translation itself")
        otherwise = row.get("otherwise")
        words = {str(value): _word(word) for value, word in values.items()}
        translations[str(name)] = Translation(row["field"], words, None if otherwise is None else _word(otherwise))
    return translations


def _word(value: t.Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
