# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syslog by UDP (RFC 5426): a message is a datagram. Nobody knows whether it arrives."""

from __future__ import annotations

import contextlib
import errno
import socket
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_connection import Peer
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receipt, UnavailableError

# An IPv4 datagram without its headers (RFC 5426, 3.2).
LARGEST = 65_507

_ACCEPTED = Receipt("accepted")


class DatagramTransport:
    """Sends messages by UDP. Accepted means sent: a receiver that is down is noticed only if its host says so."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def send(self, messages: t.Sequence[bytes]) -> t.Sequence[Receipt]:
        """Send messages; raise UnavailableError if the receiver's host refuses them, or none can be sent."""
        try:
            with contextlib.closing(self._open()) as connection:
                receipts = [self._send(connection, message) for message in messages]
                refused = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as error:
            raise UnavailableError(f"{self._peer} cannot be reached: {error.strerror or error}") from None
        if refused:
            raise UnavailableError(f"{self._peer} cannot be reached: nothing listens there")
        return receipts

    def close(self) -> None:
        """Do nothing: no socket outlives its batch."""

    def _open(self) -> socket.socket:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            self._peer.address, self._peer.port, type=socket.SOCK_DGRAM
        )[0]
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(self._peer.timeout)
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection

    def _send(self, connection: socket.socket, message: bytes) -> Receipt:
        try:
            connection.send(message)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            return Receipt("refused", f"{len(message)} bytes are too large for a datagram on this network")
        return _ACCEPTED
