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
_ANY = frozenset(("0.0.0.0", "[::]", ""))  # noqa: S104 - compared only
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
    """The addresses that are written, and where: ``flag``, ``file`` or ``default``.

    is_certain: whether the engine was started with them.
    """

    addresses: tuple[str, ...]
    source: str
    is_certain: bool = True


def listeners(
    daemon: Daemon,
    found: sockets.Sockets,
    hosts: Hosts,
    settings: t.Mapping[str, Setting],
    root: Root,
    exec_root: str,
    asks_for_tls: t.Callable[[str], bool | None],
) -> tuple[Listener, ...]:
    """Return where an engine offers its API, by the kernel; by what is written where the kernel does not tell.

    Nothing where that is not all: systemd passes any sockets.

    asks_for_tls: whether there is TLS at an address of TCP, None where the API is not what answers there.
    """
    has_tls, verifies = tls(settings)
    if found.problem is not None and (INHERITED in hosts.addresses or not hosts.is_certain):
        return ()
    if found.problem is not None:
        known = dict.fromkeys(hosts.addresses, hosts.source)
        return tuple(_listener(address, source, root, has_tls, verifies) for address, source in sorted(known.items()))
    unwritten = "systemd" if INHERITED in hosts.addresses and sockets.inherits(daemon) else "kernel"
    offered = []
    for path in _likely(found.unix, hosts.addresses):
        if normalized(_UNIX + path) in hosts.addresses:
            offered.append(_listener(_UNIX + path, hosts.source, root, has_tls, verifies))
        # Below its exec root an engine has sockets for plugins and other parts of its own.
        elif not path.startswith((exec_root + "/", "/run/docker/", "/var/run/docker/")):
            offered.append(_listener(_UNIX + path, unwritten, root, has_tls, verifies))
    for place in found.tcp:
        if any(_matches(place, address) for address in hosts.addresses):
            offered.append(_listener(_TCP + place, hosts.source, root, has_tls, verifies))
            continue
        # It may be a port of a swarm, of metrics or of a container.
        protected = asks_for_tls(place)
        if protected is not None:
            offered.append(_listener(_TCP + place, unwritten, root, protected, protected and verifies))
    return tuple(sorted(offered, key=lambda one: (one.address != MAIN_ADDRESS, one.address)))


def _likely(sockets_found: t.Iterable[t.Sequence[str]], written_addresses: t.Container[str]) -> t.Iterator[str]:
    """Yield the path of each socket. If several paths are named for one, prefer those that are written or usual."""
    for paths in sockets_found:
        expected = [path for path in paths if normalized(_UNIX + path) in written_addresses]
        usual = [path for path in paths if normalized(_UNIX + path) == MAIN_ADDRESS]
        yield from expected or usual or paths


def _listener(address: str, source: str, root: Root, has_tls: bool, verifies: bool) -> Listener:
    if address.startswith(_UNIX):
        return Listener(normalized(address), source, file=root.fact(address[len(_UNIX) :]))
    return Listener(address, source, has_tls, verifies)


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
