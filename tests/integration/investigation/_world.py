# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is beside an attacked host: an administrator, an intruder, and the servers that both use."""

from __future__ import annotations

import contextlib
import http.server
import pathlib
import socket
import subprocess
import threading
import typing as t

from tests.fleet import images
from tests.fleet.engine import Engine
from tests.integration.investigation import _attacked_host
from tests.support import network
from tests.support.enforcing_image import run_command

# Connects to an address and port, and waits there, as a miner waits for its pool.
_WAITING = r"""
#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sockaddr_in peer = {.sin_family = AF_INET};
    char byte;
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    if (count < 3 || !inet_aton(words[1], &peer.sin_addr)) return 2;
    peer.sin_port = htons(atoi(words[2]));
    if (connect(socket_, (struct sockaddr *)&peer, sizeof peer)) return 3;
    while (read(socket_, &byte, 1) > 0) {}
    for (;;) pause();
}
"""
# Loaded into other programs, it connects there from a child of them.
_LIBRARY = r"""
#include <unistd.h>
__attribute__((constructor)) static void begin(void) { (void)getpid(); }
"""


class World:
    """Hosts, keys and networks of the attacks.

    admin: the network namespace of the administrators. directory: with keys, and ``served``, which web servers have.
    """

    def __init__(self, directory: pathlib.Path, admin: network.Namespace, engine: Engine) -> None:
        self.directory, self.engine = directory, engine
        self._containers: list[str] = []
        self.admin = admin
        self.served = directory / "served"
        self.served.mkdir()
        source = directory / "waiting.c"
        source.write_text(_WAITING)
        run_command(["gcc", "-O1", "-o", str(self.served / "waiting"), str(source)])
        source.write_text(_LIBRARY)
        run_command(["gcc", "-O1", "-shared", "-fPIC", "-o", str(self.served / "library.so"), str(source)])

    def key(self, name: str) -> pathlib.Path:
        """Return a private key, made at its first use."""
        path = self.directory / f"key-{name}"
        if not path.exists():
            run_command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)])
        return path

    def public(self, name: str) -> str:
        return self.key(name).with_name(f"key-{name}.pub").read_text().strip()

    def fingerprint(self, name: str) -> str:
        return run_command(["ssh-keygen", "-l", "-f", str(self.key(name))]).stdout.split()[1]

    def ssh(self, site: network.Namespace, address: str, user: str, key: str, command: str) -> None:
        """Sign in from a network namespace and run a command; AssertionError when it fails."""
        run_command([*self._ssh(site, address, user, key), command])

    def stay(self, site: network.Namespace, address: str, user: str, key: str, command: str) -> subprocess.Popen[bytes]:
        """Sign in and stay signed in while a command runs."""
        words = [*self._ssh(site, address, user, key), "-tt", command]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _ssh(self, site: network.Namespace, address: str, user: str, key: str) -> list[str]:
        enter = ["nsenter", f"--net=/run/netns/{site.name}", "ssh", "-F", "none", "-i", str(self.key(key))]
        return [*enter, *_attacked_host.ssh_options(self.directory), f"{user}@{address}"]

    def container(self, host: _attacked_host.Host, options: t.Sequence[str], script: str) -> str:
        """Run a script in a container of the host and return the container's id. Its definition is on the host."""
        made = self.engine("create", "--network", "none", *options, images.tag("trixie"), "/bin/sh", "-c", script)
        host.containers.append(made)
        self._containers.append(made)
        # The engine's own directory is that of this machine.
        directory = host.path(f"/var/lib/docker/containers/{made}")
        directory.mkdir(parents=True)
        for name in ("config.v2.json", "hostconfig.json"):
            # There, the host's root is the root of everything.
            text = (self._definitions(made) / name).read_text().replace(f"{host.root}:/", "/:/")
            (directory / name).write_text(text.replace(f'"{host.root}"', '"/"'))
        self.engine("start", made)
        host.seeds |= host.container_processes()
        return made

    def _definitions(self, container: str) -> pathlib.Path:
        root = self.engine("info", "--format", "{{.DockerRootDir}}")
        return pathlib.Path(root) / "containers" / container

    def remove_containers(self) -> None:
        for container in self._containers:
            self.engine("rm", "--force", "--volumes", container, check=False)

    def is_serving(self, address: str) -> bool:
        """Say whether a web server answers."""
        with self.admin.entered(), contextlib.suppress(OSError), socket.create_connection((address, 80), timeout=1):
            return True
        return False

    def curl(self, site: network.Namespace, *arguments: str) -> str:
        """Ask a web server from a network namespace, as a browser does."""
        return run_command(["nsenter", f"--net=/run/netns/{site.name}", "curl", "-fsS", "-m", "20", *arguments]).stdout


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: t.Any) -> None:
        """Write nothing."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(201)
        self.end_headers()


@contextlib.contextmanager
def running(
    directory: pathlib.Path, admin: network.Namespace, pools: t.Mapping[network.Namespace, int], engine: Engine
) -> t.Iterator[World]:
    """Start the web servers of admin and pools at port 8080. pools: each with a port that takes connections as well."""
    images.ensure(engine, ["trixie"])
    world = World(directory, admin, engine)
    with contextlib.ExitStack() as stack:
        stack.callback(world.remove_containers)
        for site in (admin, *pools):
            stack.enter_context(_serving(site, world.served))
        for pool, port in pools.items():
            stack.enter_context(pool.listen(port))
        yield world


@contextlib.contextmanager
def _serving(site: network.Namespace, served: pathlib.Path) -> t.Iterator[None]:
    def handler(*arguments: t.Any) -> _Handler:
        return _Handler(*arguments, directory=str(served))

    with site.entered():
        server = http.server.ThreadingHTTPServer((site.address[4], 8080), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
