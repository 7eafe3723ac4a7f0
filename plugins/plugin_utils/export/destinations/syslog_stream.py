# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syslog by TCP and TLS: RFC 6587 and RFC 5425. A batch is accepted when the receiver ended the connection after us.

Neither protocol acknowledges a message. A connection for each batch is the only way to know that the receiver read it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_connection import (
    Connection,
    Peer,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receipt

_ACCEPTED = Receipt("accepted")
# A receiver of another protocol (RELP, or TLS where none is expected) reads a batch, and hangs up on what it does not
# understand. That can look like an orderly end after ours, so that the first batch waits for it before our end.
_PATIENCE = 0.5


def counted(message: bytes) -> bytes:
    """Return a message with its length in front: octet counting (RFC 6587, 3.4.1; RFC 5425, 4.3)."""
    return b"%d %b" % (len(message), message)


def ended(message: bytes) -> bytes:
    """Return a message with a newline at its end: non-transparent framing (RFC 6587, 3.4.2)."""
    return message + b"\n"


# The framings by the names of the option.
FRAMINGS: t.Mapping[str, t.Callable[[bytes], bytes]] = {"octets": counted, "newline": ended}


class StreamTransport:
    """Sends batches by TCP or TLS, each on a connection of its own."""

    def __init__(self, peer: Peer, framing: str) -> None:
        self._peer = peer
        self._frame = FRAMINGS[framing]
        self._patience = _PATIENCE

    def send(self, messages: t.Sequence[bytes]) -> t.Sequence[Receipt]:
        """Send messages and return after the receiver has read them all; raise UnavailableError."""
        connection = Connection(self._peer)
        try:
            connection.write(map(self._frame, messages))
            connection.finish(self._patience)
        finally:
            connection.close()
        self._patience = 0
        return [_ACCEPTED] * len(messages)

    def close(self) -> None:
        """Do nothing: no connection outlives its batch."""
