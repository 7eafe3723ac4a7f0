# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller's place on the network of a fleet: every frame between the two is counted, and can be delayed.

    with wire.join(fleet) as line:
        line.delay = 0.05
        subprocess.run([*line.command, "ssh", ...])
        print(line.bytes)

The controller is a network namespace. Two TAP devices, one in it and one on the fleet's bridge, are joined by a thread
of this process. TCP sees a longer way, with its handshake and its slow start, and no kernel needs netem for it.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import ipaddress
import json
import os
import secrets
import select
import struct
import subprocess
import threading
import time
import typing as t

from tests.fleet.engine import EngineError
from tests.fleet.fleet import Fleet

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_FRAME_BYTES = 65_536
# Frames that a device keeps for us while we are busy: none is lost, which TCP would take for congestion.
_QUEUE_LENGTH = 20_000


class Line:
    """command: what runs a program in the controller's namespace. delay: seconds of a round trip. bytes: both ways."""

    def __init__(self, namespace: str, ends: tuple[int, int]) -> None:
        self.command = ["nsenter", f"--net=/run/netns/{namespace}", "--"]
        self.delay = 0.0
        self.bytes = 0
        self._ends = ends
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="wire", daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._stop)
        self._thread.join()
        for descriptor in (self._wake, *self._ends):
            os.close(descriptor)

    def _carry(self) -> None:
        """Carry frames from each end to the other, in order, until the pipe is closed."""
        first, second = self._ends
        queues: dict[int, collections.deque[tuple[float, bytes]]] = {end: collections.deque() for end in self._ends}
        while True:
            due = [queue[0][0] for queue in queues.values() if queue]
            timeout = max(0.0, min(due) - time.monotonic()) if due else None
            ready, _write, _error = select.select([*self._ends, self._wake], [], [], timeout)
            if self._wake in ready:
                return
            for end in ready:
                self._receive(end, queues[second if end == first else first])
            now = time.monotonic()
            for end, queue in queues.items():
                while queue and queue[0][0] <= now:
                    # A device that is down, as at the end, takes nothing.
                    with contextlib.suppress(OSError):
                        os.write(end, queue.popleft()[1])

    def _receive(self, end: int, queue: collections.deque[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while True:
                frame = os.read(end, _FRAME_BYTES)
                self.bytes += len(frame)
                queue.append((time.monotonic() + self.delay / 2, frame))


@contextlib.contextmanager
def join(fleet: Fleet) -> t.Iterator[Line]:
    """Join the network of a fleet that has hosts; raise EngineError when that cannot be done."""
    network = json.loads(fleet.engine("network", "inspect", fleet.network))[0]
    bridge = network["Options"].get("com.docker.network.bridge.name", f"br-{network['Id'][:12]}")
    subnet = ipaddress.ip_network(network["IPAM"]["Config"][0]["Subnet"])
    # The engine deals addresses out from the lowest.
    address = f"{subnet.broadcast_address - 1}/{subnet.prefixlen}"
    namespace = f"bw-{secrets.token_hex(3)}"
    near, far = f"{namespace}-n", f"{namespace}-f"
    ends: list[int] = []
    try:
        _ip("netns", "add", namespace)
        ends += [_tap(near), _tap(far)]
        _ip("link", "set", near, "netns", namespace)
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "address", "add", address, "dev", near)
        _ip("-n", namespace, "link", "set", near, "txqueuelen", str(_QUEUE_LENGTH), "addrgenmode", "none", "up")
        _ip("link", "set", far, "txqueuelen", str(_QUEUE_LENGTH), "addrgenmode", "none", "master", bridge, "up")
        with contextlib.closing(Line(namespace, (ends.pop(0), ends.pop(0)))) as line:
            yield line
    finally:
        for descriptor in ends:
            os.close(descriptor)
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


def _tap(name: str) -> int:
    """Make a TAP device, which goes when its descriptor is closed."""
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise EngineError(f"the network cannot be joined: /dev/net/tun: {error.strerror}") from error
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def _ip(*arguments: str) -> None:
    answer = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise EngineError(f"'ip {' '.join(arguments)}' failed: {answer.stderr.strip()}")
