# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A webhook that verifies each request with the library of Standard Webhooks, and knows what it has by its id."""

from __future__ import annotations

import json
import typing as t

import standardwebhooks

from tests.support.receivers.exchange import Reply, Request, json_reply
from tests.support.receivers.process import Journal

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0123456789A="


class Webhook:
    """The application. messages: by id, the body's JSON value; deliveries: each id as often as it came.

    is_signed: whether requests without a valid signature are refused. refuse: whether it refuses a JSON value for good.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        is_signed: bool = True,
        refuse: t.Callable[[t.Any], bool] = lambda _value: False,
        largest: int = 1_000_000,
    ) -> None:
        self._journal = journal
        self._verifier = standardwebhooks.Webhook(SECRET) if is_signed else None
        self._refuse, self._largest = refuse, largest
        self.messages: dict[str, t.Any] = {}
        self.deliveries: list[str] = []
        for message_id, value in journal.read() if journal else []:
            self.messages[message_id] = value

    def __call__(self, request: Request) -> Reply:
        """Take a request, and say 2xx once it is kept."""
        if request.method not in ("POST", "PUT", "PATCH"):
            return json_reply(405, {"error": "method not allowed"})
        if len(request.body) > self._largest:
            return json_reply(413, {"error": "too large"})
        message_id = request.headers.get("idempotency-key")
        if not message_id:
            return json_reply(400, {"error": "no Idempotency-Key"})
        if self._verifier is not None:
            try:
                self._verifier.verify(request.body, dict(request.headers), json_parse=False)
            except standardwebhooks.WebhookVerificationError as error:
                return json_reply(401, {"error": str(error)})
        value = self._value(request)
        if self._refuse(value):
            return json_reply(422, {"error": "not this one"})
        self.deliveries.append(message_id)
        if message_id not in self.messages:
            if self._journal is not None:
                self._journal.append([message_id, value])
            self.messages[message_id] = value
        return json_reply(202, {"taken": message_id})

    def _value(self, request: Request) -> t.Any:
        if request.headers.get("content-type") == "application/x-ndjson":
            return [json.loads(line) for line in request.content().split(b"\n")]
        return request.json()
