# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination ``syslog``: RFC 5424 by TLS, TCP, UDP or RELP, in one of four formats."""

from __future__ import annotations

import ipaddress
import re
import ssl
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import fit, secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import syslog_messages, syslog_tls
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_connection import Peer
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_datagram import (
    LARGEST,
    DatagramTransport,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_relp import RelpTransport
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_stream import (
    FRAMINGS,
    StreamTransport,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef, rfc5424
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, Prepared, Receipt

# The transports with their usual ports: RFC 5425, RFC 6587 (syslog-conn), RFC 5426; rsyslog's examples for RELP.
_PORTS: t.Mapping[str, int] = {"tls": 6514, "tcp": 601, "udp": 514, "relp": 2514, "relp_tls": 2514}
# Names and IPv4 addresses; a name beyond ASCII is written in its encoded form (xn--).
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}")
_ENCRYPTED = frozenset({"tls", "relp_tls"})
# Below that, the ids, times and remediation of an event alone are too large.
_LEAST_EVENT, _MOST_EVENT = 2_048, 10_000_000

ARGUMENTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "address": {"type": "str", "required": True},
    "port": {"type": "int"},
    "transport": {"type": "str", "choices": list(_PORTS), "default": "tls"},
    "framing": {"type": "str", "choices": list(FRAMINGS), "default": "octets"},
    "timeout": {"type": "float", "default": 60.0},
    "format": {"type": "str", "choices": list(syslog_messages.FORMATS), "default": "ocsf"},
    "cef_version": {"type": "str", "choices": list(cef.VERSIONS), "default": "0"},
    "max_event": {"type": "int"},
    "facility": {"type": "str", "choices": list(rfc5424.FACILITIES), "default": "local0"},
    "app_name": {"type": "str", "default": "bulwark"},
    "hostname": {"type": "str"},
    "sd_id": {"type": "str", "default": "bulwark@32473"},
    "bom": {"type": "bool"},
    "ca_file": {"type": "path"},
    "certificate": {"type": "path"},
    "key": {"type": "path", "no_log": False},
    **secrets.arguments("key_password"),
    "server_name": {"type": "str"},
    "verify": {"type": "bool", "default": True},
}


class Transport(t.Protocol):
    """A way to bring messages to a receiver."""

    def send(self, messages: t.Sequence[bytes]) -> t.Sequence[Receipt]:
        """Send messages and return a receipt for each; raise UnavailableError."""

    def close(self) -> None:
        """Let go of connections."""


class SyslogReceiver:
    """A syslog receiver; see ``Receiver``."""

    # A connection per batch: large enough that its handshake costs nothing, and small enough to be sent again.
    batch_events = 5_000
    batch_bytes = 8_000_000

    def __init__(self, transport: Transport, messages: syslog_messages.Messages, largest: int) -> None:
        self._transport = transport
        self._messages = messages
        self._largest = largest

    def prepare(self, event: t.Mapping[str, t.Any], key: str) -> Prepared:
        """Return the event as a message without framing, at most ``max_event`` bytes; raise UnfitError."""
        fitted = fit.fit(event, self._largest, self._messages.render)
        return Prepared(event["metadata"]["uid"], key, fitted.body, fitted.removed, fitted.shortened)

    def send(self, batch: t.Sequence[Prepared]) -> t.Sequence[Receipt]:
        """Send a batch; what a receipt promises depends on the transport."""
        return self._transport.send([prepared.body for prepared in batch]) if batch else []

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()


def check(settings: t.Mapping[str, t.Any]) -> None:
    """Raise ExportError for settings that cannot work, certificates that cannot be read among them."""
    _port(settings)
    _largest(settings)
    syslog_messages.check(settings)
    if settings["timeout"] <= 0:
        raise ExportError(f"timeout is {settings['timeout']:g}; write seconds above 0")
    _check_name("address", settings["address"])
    if settings["server_name"] is not None:
        _check_name("server_name", settings["server_name"])
    _context(settings)


def open_receiver(
    settings: t.Mapping[str, t.Any],
    destination_name: str,  # noqa: ARG001 - every kind is opened alike, and a syslog message has no use for the name
) -> SyslogReceiver:
    """Return a receiver, which connects when it sends; raise ExportError."""
    return SyslogReceiver(_transport(settings), syslog_messages.Messages(settings), _largest(settings))


def _check_name(option: str, name: str) -> None:
    """Raise ExportError for what is neither a host's name nor an address, such as a URL, or one with a port."""
    if ":" in name:
        is_name = _is_ipv6(name)
    else:
        is_name = bool(_NAME.fullmatch(name)) and all(0 < len(label) < 64 for label in name.split("."))
    if not is_name:
        raise ExportError(f"{option} is not a host; write a name or an address alone, and the port in port")


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True


def _transport(settings: t.Mapping[str, t.Any]) -> Transport:
    name = settings["server_name"] or settings["address"]
    peer = Peer(settings["address"], _port(settings), settings["timeout"], _context(settings), name)
    if settings["transport"] == "udp":
        return DatagramTransport(peer)
    if settings["transport"] in ("relp", "relp_tls"):
        return RelpTransport(peer)
    return StreamTransport(peer, settings["framing"])


def _context(settings: t.Mapping[str, t.Any]) -> ssl.SSLContext | None:
    if settings["transport"] in _ENCRYPTED:
        return syslog_tls.context(settings)
    syslog_tls.check_unused(settings)
    return None


def _port(settings: t.Mapping[str, t.Any]) -> int:
    port = settings["port"]
    if port is None:
        return _PORTS[settings["transport"]]
    if not 1 <= port <= 65_535:
        raise ExportError(f"port is {port}; write a number from 1 to 65535")
    return int(port)


def _largest(settings: t.Mapping[str, t.Any]) -> int:
    most = LARGEST if settings["transport"] == "udp" else _MOST_EVENT
    if settings["format"] == "structured":
        most = min(most, syslog_messages.LARGEST_STRUCTURED)
    largest = settings["max_event"]
    if largest is None:
        return syslog_messages.FORMATS[settings["format"]]
    if not _LEAST_EVENT <= largest <= most:
        raise ExportError(f"max_event is {largest}; write bytes from {_LEAST_EVENT} to {most}")
    return int(largest)
