# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies of Splunk's HTTP Event Collector: its codes, and the effect of each on a batch.

The codes are those of https://help.splunk.com, "Troubleshoot HTTP Event Collector" (0 to 27); 28 is what Splunk Cloud
sends for 10. A body reads ``{"text": ..., "code": N}``, with ``ackId`` after a success on a token with acknowledgement
and ``invalid-event-number``, from 0, where one event of a batch is wrong.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.http import ReplyError, Response
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnavailableError

# success: all is taken. event: an event is wrong, the others may be right. unavailable: nothing is taken, now or until
# somebody mends it.
Effect = t.Literal["success", "event", "unavailable"]


class Code(t.NamedTuple):
    """One code: Splunk's text, its effect, and what to do about it."""

    text: str
    effect: Effect
    advice: str = ""


_AUTHORIZATION = "check the token of the destination and the HTTP Event Collector's tokens in Splunk"
_CHANNEL = "make the load balancer keep a client on one Splunk server (sticky sessions)"
_ACKNOWLEDGEMENT = "switch on indexer acknowledgement for the token in Splunk, or set acknowledge to false"

CODES: t.Mapping[int, Code] = {
    0: Code("Success", "success"),
    1: Code("Token disabled", "unavailable", "enable the token in Splunk"),
    2: Code("Token is required", "unavailable", _AUTHORIZATION),
    3: Code("Invalid authorization", "unavailable", _AUTHORIZATION),
    4: Code("Invalid token", "unavailable", _AUTHORIZATION),
    5: Code("No data", "unavailable"),
    6: Code("Invalid data format", "event"),
    7: Code("Incorrect index", "unavailable", "create the index in Splunk, and allow it for the token"),
    8: Code("Internal server error", "unavailable"),
    9: Code("Server is busy", "unavailable"),
    10: Code("Data channel is missing", "unavailable", "set acknowledge to true, as the token has acknowledgement on"),
    11: Code("Invalid data channel", "unavailable", _CHANNEL),
    12: Code("Event field is required", "event"),
    13: Code("Event field cannot be blank", "event"),
    14: Code("ACK is disabled", "unavailable", _ACKNOWLEDGEMENT),
    15: Code("Error in handling indexed fields", "event"),
    16: Code("Query string authorization is not enabled", "unavailable", _AUTHORIZATION),
    17: Code("HEC is healthy", "unavailable", "check that url is that of the HTTP Event Collector"),
    18: Code("HEC is unhealthy, queues are full", "unavailable"),
    19: Code("HEC is unhealthy, ack service unavailable", "unavailable"),
    20: Code("HEC is unhealthy, queues are full, ack service unavailable", "unavailable"),
    21: Code("Invalid token", "unavailable", _AUTHORIZATION),
    22: Code("Token disabled", "unavailable", "enable the token in Splunk"),
    23: Code("Server is shutting down", "unavailable"),
    24: Code("HEC queue is approaching its capacity limit", "success"),
    25: Code("HEC ACK is approaching its capacity limit", "success"),
    26: Code("HEC queue is at capacity and cannot process any more requests", "unavailable"),
    27: Code("HEC ACK channel is at capacity and cannot process any more requests", "unavailable"),
    28: Code("Data channel is missing", "unavailable", "set acknowledge to true, or ask Splunk for sticky sessions"),
}


class Verdict(t.NamedTuple):
    """The result of a request.

    is_taken: Splunk took all events. ack_id: under which it acknowledges them later. invalid: the index of the event
    that it refused, where it names one. reason: why it refused.
    """

    is_taken: bool
    ack_id: int | None = None
    invalid: int | None = None
    reason: str = ""


def judge(response: Response, number: int) -> Verdict:
    """Return what a reply says about a request with so many events; raise UnavailableError where nothing is taken.

    A reply of 413 is a Verdict without an index, like an error of the data without one: fewer events may do.
    """
    if response.status == 413:
        return Verdict(is_taken=False, reason="Splunk: the request is too large (status 413)")
    body = _body(response)
    code = whole(body.get("code"))
    known = CODES.get(code) if code is not None else None
    if code is None or known is None:
        raise unavailable(response, "")
    if known.effect == "success" and response.status == 200:
        return Verdict(is_taken=True, ack_id=whole(body.get("ackId")))
    if known.effect == "event" and response.status == 400:
        invalid = whole(body.get("invalid-event-number"))
        if invalid is not None and invalid >= number:
            raise UnavailableError(
                f"Splunk refused event {invalid} of {number}, which was not sent; something changes the replies"
            )
        return Verdict(is_taken=False, invalid=invalid, reason=f"Splunk: {known.text} (code {code})")
    raise UnavailableError(
        f"Splunk: {known.text} (code {code})" + (f"; {known.advice}" if known.advice else ""), response.retry_after()
    )


def unavailable(response: Response, what: str) -> UnavailableError:
    """Return the error for a reply that has no code of Splunk."""
    reason = response.reason()
    explanation = f": {reason}" if reason else ""
    return UnavailableError(f"Splunk replied {what}with status {response.status}{explanation}", response.retry_after())


def acknowledged(response: Response, asked: t.Iterable[int]) -> set[int]:
    """Return which of the ids that were asked for Splunk has indexed; raise UnavailableError.

    Ids that nobody asked for count for nothing.
    """
    body = _body(response)
    acks = body.get("acks")
    if response.status != 200 or not isinstance(acks, dict):
        code = whole(body.get("code"))
        known = CODES.get(code) if code is not None else None
        if known is None:
            raise unavailable(response, "to a question for acknowledgements ")
        advice = f"; {known.advice}" if known.advice else ""
        raise UnavailableError(f"Splunk: {known.text} (code {code}){advice}", response.retry_after())
    return {ack_id for ack_id in asked if acks.get(str(ack_id)) is True}


def whole(value: t.Any) -> int | None:
    """Return a whole number from 0, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _body(response: Response) -> dict[str, t.Any]:
    try:
        body = response.json()
    except ReplyError as error:
        # A server that is overloaded, or a load balancer before it, replies without Splunk's JSON.
        if response.status != 200:
            raise unavailable(response, "") from None
        raise UnavailableError(f"Splunk {error}", response.retry_after()) from None
    if not isinstance(body, dict):
        raise UnavailableError(f"Splunk sent JSON that is not an object: {printable(str(body)[:100])}")
    return body
