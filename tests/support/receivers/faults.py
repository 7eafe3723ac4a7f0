# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of receivers. A fault takes the place of the usual handling of one request.

Usual handling is ``exchange.send(exchange.process())``. ``server.fail(fault, times)`` queues faults.
"""

from __future__ import annotations

import email.utils
import time
import typing as t

from tests.support.receivers.exchange import Reply

if t.TYPE_CHECKING:
    from tests.support.receivers.server import Exchange

Fault = t.Callable[["Exchange"], None]

_BLOCK = b" " * 65_536
# A login page, as a proxy or a load balancer sends it to a client that asked for JSON.
_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form></form></body></html>"


def slow(seconds: float) -> Fault:
    """Take a request, reply after some seconds."""

    def handle(exchange: Exchange) -> None:
        reply = exchange.process()
        exchange.pause(seconds)
        exchange.send(reply)

    return handle


def never(processed: bool = False) -> Fault:
    """Read a request and never reply. processed: the receiver has it all the same."""

    def handle(exchange: Exchange) -> None:
        _ = exchange.process() if processed else exchange.request
        exchange.pause(None)
        exchange.close()

    return handle


def drip(pause: float) -> Fault:
    """Reply with one byte at a time."""

    def handle(exchange: Exchange) -> None:
        for number in exchange.encode(exchange.process()):
            exchange.write(bytes([number]))
            if exchange.pause(pause):
                break

    return handle


def half() -> Fault:
    """Take a request, reply with half a body, and close."""

    def handle(exchange: Exchange) -> None:
        reply = exchange.process()
        whole = exchange.encode(reply)
        exchange.write(whole[: len(whole) - len(reply.body) // 2 - 1])
        exchange.close()

    return handle


def endless() -> Fault:
    """Reply with 200 and a body that never ends."""

    def handle(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not exchange.pause(0):
            exchange.write(_BLOCK)

    return handle


def endless_headers() -> Fault:
    """Reply with headers that never end."""

    def handle(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.write(b"HTTP/1.1 200 OK\r\n")
        while not exchange.pause(0):
            exchange.write(b"X-More: and more\r\n" * 100)

    return handle


def garbage() -> Fault:
    """Reply with bytes that are no HTTP."""

    def handle(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.write(b"\x00\xff\x15\x03 not HTTP\r\n\r\n")
        exchange.close()

    return handle


def close_before() -> Fault:
    """Close without reading the request."""
    return lambda exchange: exchange.close()


def reset_within(size: int) -> Fault:
    """Read some bytes of the body, then reset the connection."""

    def handle(exchange: Exchange) -> None:
        exchange.read(size)
        exchange.reset()

    return handle


def lost_reply() -> Fault:
    """Take a request, then reset the connection in place of a reply."""

    def handle(exchange: Exchange) -> None:
        exchange.process()
        exchange.reset()

    return handle


def reply(status: int, body: bytes = b"", headers: t.Mapping[str, str] | None = None) -> Fault:
    """Reply without handing the request to the application."""

    def handle(exchange: Exchange) -> None:
        _ = exchange.request
        exchange.send(Reply(status, body, headers or {}))

    return handle


def redirect(location: str, status: int = 301) -> Fault:
    """Reply that the receiver is elsewhere."""
    return reply(status, headers={"Location": location})


def html(status: int = 200) -> Fault:
    """Reply with a page for people."""
    return reply(status, _PAGE, {"Content-Type": "text/html; charset=utf-8"})


def busy(status: int, seconds: int | None = None, as_date: bool = False) -> Fault:
    """Reply that it is too much, with Retry-After in seconds or as a date."""
    headers = {}
    if seconds is not None:
        headers["Retry-After"] = email.utils.formatdate(time.time() + seconds, usegmt=True) if as_date else str(seconds)
    return reply(status, headers=headers)


def changed(change: t.Callable[[Reply], Reply]) -> Fault:
    """Take a request, and change the application's reply: errors in a 200, acknowledgements of what was not sent."""
    return lambda exchange: exchange.send(change(exchange.process()))
