# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an engine offers its API: what its process listens on, and what is written of that."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import sockets
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Listener, Setting
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.processes import Daemon

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.files import Root

_UNIX, _TCP = "unix://", "tcp://"
INHERITED = "fd://"
MAIN = "/run/docker.sock"
MAIN_ADDRESS = _UNIX + MAIN
_TCP_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/]*)(?::(?P<port>[0-9]{1,5}))?(?:/.*)?\Z")
_ANY = frozenset(("0.0.0.0", "[::]", ""))
_LOOPBACK = frozenset(("127.0.0.1", "[::1]", "localhost"))


def normalized(address: str) -> str:
    """Return an address as this code names it: a unix socket without /var, as /var/run leads to /run."""
    if not address.startswith(_UNIX):
        return address
    path = posixpath.normpath(address[len(_UNIX) :] or "/var/run/docker.sock")
    return _UNIX + (path[len("/var") :] if path.startswith("/var/run/") else path)


def written(hosts: t.Any, environment: t.Mapping[str, str], is_rootless: bool) -> list[str]:
    """Return the addresses of a setting ``hosts``; without any, the one that an engine uses by itself."""
    texts = [host for host in hosts if isinstance(host, str)] if isinstance(hosts, list) else []
    if not texts:
        runtime = environment.get("XDG_RUNTIME_DIR", "")
        return [normalized(_UNIX + runtime + "/docker.sock") if is_rootless and runtime else MAIN_ADDRESS]
    return [normalized(text if "://" in text else _TCP + text) for text in texts]


class Hosts(t.NamedTuple):
    """The addresses that are written, and where: ``flag``, ``file`` or ``default``."""

    addresses: tuple[str, ...]
    source: str


def listeners(
    daemon: Daemon,
    found: sockets.Sockets,
    hosts: Hosts,
    settings: t.Mapping[str, Setting],
    root: Root,
    exec_root: str,
) -> tuple[Listener, ...]:
    """Return where an engine offers its API, by the kernel; by what is written where the kernel does not tell."""
    has_tls, verifies = tls(settings)
    if found.problem is not None:
        known = [(address, hosts.source) for address in hosts.addresses if address != INHERITED]
    else:
        known = []
        for path, descriptor in found.unix:
            address = normalized(_UNIX + path)
            source = _source(address in hosts.addresses, daemon, descriptor, hosts)
            # Below its exec root an engine has sockets for plugins and other parts of its own.
            if source != "kernel" or not path.startswith((exec_root + "/", "/run/docker/", "/var/run/docker/")):
                known.append((_UNIX + path, source))
        for place, descriptor in found.tcp:
            is_written = any(_matches(place, address) for address in hosts.addresses)
            source = _source(is_written, daemon, descriptor, hosts)
            # What else an engine listens on belongs to a swarm, to metrics or to a container.
            if source != "kernel":
                known.append((_TCP + place, source))
    return tuple(
        Listener(normalized(address), source, file=root.fact(address[len(_UNIX) :]))
        if address.startswith(_UNIX)
        else Listener(address, source, has_tls, verifies)
        for address, source in sorted(set(known), key=lambda one: (normalized(one[0]) != MAIN_ADDRESS, one))
    )


def _source(is_written: bool, daemon: Daemon, descriptor: int, hosts: Hosts) -> str:
    if INHERITED in hosts.addresses and sockets.is_inherited(descriptor, daemon.environment, daemon.pid):
        return "systemd"
    return hosts.source if is_written else "kernel"


def tls(settings: t.Mapping[str, Setting]) -> tuple[bool, bool]:
    """Return whether the API on TCP has TLS, and whether it wants certificates of clients."""
    verifies = settings["tlsverify"].value is True
    return verifies or settings["tls"].value is True, verifies


def _matches(place: str, address: str) -> bool:
    """Say whether a place where the kernel says that somebody listens is what an address asks for."""
    if not address.startswith(_TCP):
        return False
    host, _colon, port = place.rpartition(":")
    found = _TCP_ADDRESS.match(address[len(_TCP) :])
    if found is None:
        return False
    ports = (found.group("port"),) if found.group("port") else ("2375", "2376")
    if port not in ports:
        return False
    wanted = found.group("host")
    if wanted in _ANY:
        return host in _ANY
    # A name leads anywhere.
    return host == wanted or (wanted in _LOOPBACK and host in _LOOPBACK) or not re.match(r"[0-9.]+\Z|\[", wanted)
