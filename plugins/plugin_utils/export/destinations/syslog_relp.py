# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syslog by RELP: the receiver acknowledges each message, so that the others of a broken batch are not sent twice."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import relp_protocol as relp
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations.syslog_connection import (
    Connection,
    Peer,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receipt, UnavailableError

# Frames that may wait for a response, as librelp has it. Larger windows make both sides wait for each other: neither
# reads while its own output is stuck.
_WINDOW = 128
_GOOD = 200
_OPENING = 1

_ACCEPTED = Receipt("accepted")


class RelpTransport:
    """Sends batches by RELP, with or without TLS below it, each in a session of its own."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def send(self, messages: t.Sequence[bytes]) -> t.Sequence[Receipt]:
        """Send messages and return what the receiver said about each.

        If the session breaks, those without a response are due again; raises UnavailableError if that are all.
        """
        session = _Session(self._peer)
        try:
            try:
                session.open()
                session.deliver(messages)
            except (UnavailableError, relp.RelpError) as error:
                if not session.receipts or isinstance(error, relp.RelpError):
                    raise
                reason = str(error)
                return [session.receipts.get(index) or Receipt("again", reason) for index in range(len(messages))]
            session.end()
            return [session.receipts[index] for index in range(len(messages))]
        except relp.RelpError as error:
            # Earlier acknowledgements of such a receiver prove nothing.
            raise UnavailableError(f"{self._peer} is not a RELP receiver: {printable(str(error))}") from None
        finally:
            session.close()

    def close(self) -> None:
        """Do nothing: no session outlives its batch."""


class _Session:
    """One session; ``receipts`` are those of the messages that the receiver responded to, by their indexes."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._connection = Connection(peer)
        self._reader = relp.ResponseReader()
        self.receipts: dict[int, Receipt] = {}

    def open(self) -> None:
        self._connection.write([relp.frame(_OPENING, relp.OPEN, relp.OFFERS)])
        responses: list[relp.Response] = []
        while not responses:
            responses = self._read()
        response = responses[0]
        if len(responses) > 1 or response.number != _OPENING or response.status != _GOOD:
            raise relp.RelpError(f"it refuses the session, '{response.text[:80]}'")

    def deliver(self, messages: t.Sequence[bytes]) -> None:
        """Send all messages and read all responses."""
        sent = 0
        while len(self.receipts) < len(messages):
            until = min(len(messages), len(self.receipts) + _WINDOW)
            first = _OPENING + 1
            self._connection.write(
                relp.frame(first + index, relp.SYSLOG, messages[index]) for index in range(sent, until)
            )
            sent = max(sent, until)
            for response in self._read():
                self._note(response, sent)

    def end(self) -> None:
        """Tell the receiver that no more comes. All is acknowledged, so that nothing depends on its response."""
        number = _OPENING + 1 + len(self.receipts)
        try:
            self._connection.write([relp.frame(number, relp.CLOSE)])
            while not any(response.number == number for response in self._read()):
                pass
        except (UnavailableError, relp.RelpError):
            pass

    def close(self) -> None:
        self._connection.close()

    def _note(self, response: relp.Response, sent: int) -> None:
        index = response.number - _OPENING - 1
        if not 0 <= index < sent or index in self.receipts:
            raise relp.RelpError(f"it responds to frame {response.number}, which waits for no response")
        is_good = response.status == _GOOD
        self.receipts[index] = _ACCEPTED if is_good else Receipt("refused", printable(response.text))

    def _read(self) -> list[relp.Response]:
        part = self._connection.read()
        if not part:
            raise UnavailableError(f"{self._peer} ended the session before it had acknowledged everything")
        # Frame 0 is a hint that the receiver is about to end the session; what it read before, it still acknowledges.
        return [response for response in self._reader.feed(part) if response.number != 0]
