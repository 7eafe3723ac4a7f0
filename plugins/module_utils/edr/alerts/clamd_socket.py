# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask clamd about an open file, over its socket.

The file is passed as a descriptor (``zFILDES``), so that clamd needs no right to open it, no name is parsed, and the
response is one text that ends with NUL. Source: clamd(8), COMMANDS.
"""

from __future__ import annotations

import array
import os
import re
import socket
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._trust import who_can_change

_ANSWER_LIMIT = 65_536
_SECONDS = 30.0
# struct ucred of unix(7).
_CREDENTIALS = struct.Struct("3i")
_ANSWER = re.compile(
    rb"(?:.*: )?(?:(?P<signature>[^\s:]{1,200}?)(?:\([0-9a-f]{32}:\d{1,18}\))? FOUND|(?P<clean>OK))\Z", re.DOTALL
)


class ClamdError(OSError):
    """clamd is not usable, or sent no result; the message is one sentence."""


class Clamd:
    """The daemon behind a socket. Each question is a connection of its own."""

    def __init__(self, path: str, accounts: t.AbstractSet[int], seconds: float = _SECONDS) -> None:
        """accounts: user ids that may listen there; the listener gets files that root has opened."""
        self.path, self._accounts, self._seconds = path, accounts, seconds

    def scan(self, descriptor: int) -> str | None:
        """Return the signature that matches an open file, None for a clean one. Raises ClamdError."""
        self._check()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self._seconds)
                connection.connect(self.path)
                self._check_peer(connection)
                connection.sendall(b"zFILDES\0")
                passed = array.array("i", [descriptor])
                connection.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
                response = _response(connection)
        except ClamdError:
            raise
        except OSError as error:
            raise ClamdError("clamd at %s does not answer: %s" % (self.path, error.strerror or error)) from error
        match = _ANSWER.match(response)
        if match is None:
            raise ClamdError("clamd at %s sent no result" % self.path)
        signature = match.group("signature")
        return signature.decode("utf-8", "replace") if signature is not None else None

    def _check_peer(self, connection: socket.socket) -> None:
        """Raise ClamdError if the process that began to listen is of an account that is not clamd's."""
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(peer)[1] not in self._accounts:
            raise ClamdError("on clamd's socket %s listens an account that is not clamd's" % self.path)

    def _check(self) -> None:
        """Raise ClamdError for a socket that somebody else than the daemon may have made."""
        try:
            status = os.lstat(self.path)
            above = os.stat(os.path.dirname(self.path))
        except OSError as error:
            raise ClamdError("clamd's socket %s: %s" % (self.path, error.strerror)) from error
        if not stat.S_ISSOCK(status.st_mode):
            raise ClamdError("clamd's socket %s is not a socket" % self.path)
        if above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX:
            raise ClamdError("clamd's socket %s is in a directory that everybody can write to" % self.path)
        if above.st_uid not in (os.geteuid(), status.st_uid) and who_can_change(above):
            raise ClamdError("clamd's socket %s is in a directory of another account" % self.path)


def _response(connection: socket.socket) -> bytes:
    received = b""
    while b"\0" not in received and len(received) < _ANSWER_LIMIT:
        part: t.Any = connection.recv(4_096)
        if not part:
            break
        received += part
    return received.partition(b"\0")[0]
