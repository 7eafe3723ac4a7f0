# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's audit system, over its netlink socket: settings, and the list of rules (audit(7), linux/audit.h)."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import select
import socket
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule

_NETLINK_AUDIT = 9
_HEADER = struct.Struct("=IHHII")
_STATUS = struct.Struct("=11I")
_REQUEST, _ACK = 1, 4
_ERROR, _DONE = 2, 3
_GET, _SET, _USER, _ADD, _DELETE, _LIST = 1000, 1001, 1005, 1011, 1012, 1013
_SECONDS = 20
# Position in struct audit_status and bit of its mask.
_SETTINGS = {
    "enabled": (1, 0x01),
    "failure": (2, 0x02),
    "rate_limit": (4, 0x08),
    "backlog_limit": (5, 0x10),
    "backlog_wait_time": (9, 0x20),
}
_NO_ROOT = "The audit rules cannot be read: the kernel shows them to root only; become root."
_LIMITED_ROOT = "root has no CAP_AUDIT_CONTROL here, as in a container; protect and scan the container's host"
_NO_CAPABILITY = "The audit rules cannot be read: %s." % _LIMITED_ROOT
_ABSENT = "The kernel has no audit system, or this is a container of one that has: only the host itself can be audited."
_ELSEWHERE = {
    _NO_CAPABILITY: _LIMITED_ROOT,
    _ABSENT: "the kernel has no audit system, or this is a container: protect and scan the container's host",
}
IMMUTABLE = 2


@dataclasses.dataclass(frozen=True)
class Status:
    """The kernel's settings. pid: of the daemon that takes the records, 0 for none. lost: records, since the boot."""

    enabled: int
    failure: int
    pid: int
    rate_limit: int
    backlog_limit: int
    lost: int
    backlog: int
    backlog_wait_time: int | None

    @property
    def immutable(self) -> bool:
        return self.enabled == IMMUTABLE


class KernelError(Exception):
    """The kernel refused a request. ``number`` is the errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Kernel:
    """One connection. Everything raises KernelError when the kernel refuses, HostError when it doesn't answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sequence = 0

    def status(self) -> Status:
        answers = self._ask(_GET, b"", _GET)
        answer = answers[0] if answers else b""
        # Kernels of different ages say more or less.
        found = _STATUS.unpack_from(answer.ljust(_STATUS.size, b"\0"))
        wait = found[9] if len(answer) >= 40 else None
        return Status(found[1], found[2], found[3], found[4], found[5], found[6], found[7], wait)

    def set(self, name: str, value: int) -> None:
        """Set ``enabled``, ``failure``, ``rate_limit``, ``backlog_limit`` or ``backlog_wait_time``."""
        position, bit = _SETTINGS[name]
        values = [0] * 11
        values[0], values[position] = bit, value
        self._ask(_SET, _STATUS.pack(*values), None)

    def rules(self) -> list[Rule]:
        """Return all rules in the order in which they are asked."""
        from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import unpack

        return [unpack(data) for data in self._ask(_LIST, b"", _LIST)]

    def add(self, rule: Rule) -> None:
        self._ask(_ADD, rule.pack(), None)

    def delete(self, rule: Rule) -> None:
        self._ask(_DELETE, rule.pack(), None)

    def record(self, text: str) -> None:
        """Have a record of user space made (``USER``), as ``auditctl -m`` does."""
        self._ask(_USER, text.encode("utf-8") + b"\0", None)

    def _ask(self, kind: int, payload: bytes, wanted: int | None) -> list[bytes]:
        """Send a request; return the payloads of the answers of type ``wanted``, up to the last one."""
        self._sequence += 1
        padded = payload + b"\0" * (-len(payload) % 4)
        header = _HEADER.pack(_HEADER.size + len(padded), kind, _REQUEST | _ACK, self._sequence, 0)
        self._socket.send(header + padded)
        found: list[bytes] = []
        deadline = time.monotonic() + _SECONDS
        acknowledged = False
        while True:
            for answer, sequence, data in self._receive(deadline):
                if sequence != self._sequence:
                    continue
                if answer == _ERROR:
                    number = -struct.unpack_from("=i", data)[0]
                    if number:
                        raise KernelError(number)
                    acknowledged = True
                elif answer == wanted:
                    found.append(data)
                elif answer == _DONE and wanted == _LIST:
                    return found
            # The list has an end of its own; the one answer about the status comes before or after the acknowledgement.
            if acknowledged and wanted != _LIST and (wanted is None or found):
                return found

    def _receive(self, deadline: float) -> t.Iterator[tuple[int, int, bytes]]:
        if not select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise HostError("The kernel's audit system did not answer within %d s." % _SECONDS)
        data = self._socket.recv(1 << 16)
        position = 0
        while position + _HEADER.size <= len(data):
            length, kind, _flags, sequence, _pid = _HEADER.unpack_from(data, position)
            if length < _HEADER.size:
                return
            yield kind, sequence, data[position + _HEADER.size : position + length]
            position += (length + 3) & ~3


@contextlib.contextmanager
def connected() -> t.Iterator[Kernel]:
    """Connect to the audit system; HostError with the reason where there is none, or it isn't ours to use."""
    try:
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EINVAL):
            raise HostError(_ABSENT) from error
        raise HostError("The kernel's audit system cannot be reached: %s." % error.strerror) from error
    with connection:
        kernel = Kernel(connection)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            connection.bind((0, 0))
            kernel.status()
        except KernelError as error:
            raise HostError(_refused(error.number)) from error
        except OSError as error:
            raise HostError(_refused(error.errno or 0)) from error
        yield kernel


def elsewhere() -> str | None:
    """Return why nothing can be audited here but only on another host, None if it can or that is not known."""
    try:
        with connected():
            return None
    except (HostError, KernelError) as error:
        return _ELSEWHERE.get(str(error))


def _refused(number: int) -> str:
    if number == errno.ECONNREFUSED:
        return _ABSENT
    if number in (errno.EPERM, errno.EACCES):
        return _NO_ROOT if os.geteuid() else _NO_CAPABILITY
    return "The kernel's audit system does not answer: %s." % os.strerror(number)
