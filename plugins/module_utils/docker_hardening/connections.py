# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connect to an engine, and to nothing else that may be in the place of its socket."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import client, sockets
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.api_errors import ApiError, TlsError
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Engine
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.processes import Daemon

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

# An answer takes milliseconds, on a busy host seconds.
_SECONDS = 15.0
_PROBE_SECONDS = 1.0
_TCP = "tcp://"


def to_engine(
    engine: Engine, daemon: Daemon, root: Root, deadline: Deadline, allowance: client.Allowance
) -> client.Client | None:
    """Return a client of the address that names the engine, or of another one; None where there is none to ask."""
    order = sorted(engine.listeners, key=lambda listener: listener.address != engine.name)
    for listener in order:
        if listener.file is not None:
            connect = functools.partial(_pinned, root, listener.file.path)
            accepts = functools.partial(_refusal, daemon, listener.source == "systemd")
            return client.Client(connect, deadline, _SECONDS, accepts, allowance)
    for listener in order:
        if listener.address.startswith(_TCP) and not listener.has_tls and not sockets.has_own_network(daemon.pid):
            connect = functools.partial(_tcp, listener.address[len(_TCP) :])
            return client.Client(connect, deadline, _SECONDS, allowance=allowance)
    return None


def _refusal(daemon: Daemon, is_inherited: bool, connection: socket.socket) -> str | None:
    """Return why what listens at the other end of a connection is not the engine, None where it is."""
    pid, uid = client.peer(connection)
    if pid == daemon.pid or (is_inherited and uid in (0, daemon.uid)):
        return None
    return "another process answers at its address"


def asks_for_tls(daemon: Daemon, deadline: Deadline, place: str) -> bool | None:
    """Say whether the API has TLS at a place of TCP, None where something else answers there or nothing."""
    if sockets.has_own_network(daemon.pid):
        return None
    with contextlib.closing(client.Client(functools.partial(_tcp, place), deadline, _PROBE_SECONDS)) as asked:
        try:
            asked.version()
        except TlsError:
            return True
        except ApiError:
            return None
    return False


@contextlib.contextmanager
def _pinned(root: Root, path: str) -> t.Iterator[tuple[int, t.Any]]:
    """Yield the address of a unix socket below a root: neither too long for the kernel nor to be led elsewhere."""
    pinned, _real, _is_link = root.pin(path)
    try:
        yield socket.AF_UNIX, "/proc/self/fd/%d" % pinned
    finally:
        os.close(pinned)


@contextlib.contextmanager
def _tcp(place: str) -> t.Iterator[tuple[int, t.Any]]:
    host, _colon, port = place.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    # Somebody who listens everywhere listens here.
    local = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104 - compared only
    yield family, (local, int(port))
