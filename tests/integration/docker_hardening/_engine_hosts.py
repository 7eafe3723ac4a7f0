# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose engines differ in settings, files and images.

``loose`` breaks what it can, ``tight`` keeps to everything.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pathlib
import socketserver
import subprocess
import threading
import typing as t

from tests.integration.docker_hardening._docker_host import DockerHost
from tests.integration.docker_hardening._images import OLD, Made
from tests.support import commands

SECRET = "hunter2hunter2"
UNIX = "unix:///run/docker.sock"
_CERTIFICATES = {"tlscacert": "/etc/docker/ca.pem", "tlscert": "/etc/docker/cert.pem", "tlskey": "/etc/docker/key.pem"}
_GROUP = f"/bulwark-loose-{os.getpid()}"
_LOOSE = {
    "hosts": [UNIX, "tcp://0.0.0.0:2376"],
    "tls": True,
    **_CERTIFICATES,
    "log-level": "debug",
    "insecure-registries": ["registry.example:5000"],
    # The harness removes it.
    "cgroup-parent": _GROUP,
    "seccomp-profile": "unconfined",
    "experimental": True,
    "iptables": False,
    "ip6tables": False,
}
_TIGHT = {
    "hosts": [UNIX, "tcp://127.0.0.1:2376"],
    "tlsverify": True,
    **_CERTIFICATES,
    "icc": False,
    "userns-remap": "nobody:nogroup",
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 4096}},
    "authorization-plugins": ["own"],
    "log-driver": "syslog",
    "log-opts": {"syslog-address": "udp://192.0.2.9:514"},
    "no-new-privileges": True,
    "live-restore": True,
    "userland-proxy": False,
}
_SOCKETS = ("/run/docker.sock", "/run/docker/containerd/containerd.sock")
_MAPPED = {"/etc/subuid": "nobody:100000:65536\n", "/etc/subgid": "nobody:100000:65536\n"}
_PLACED = {
    "/etc/docker/certs.d/registry.example/ca.crt": "none\n",
    "/etc/systemd/system/docker.service.d/own.conf": "[Service]\n",
    "/etc/systemd/system/docker.socket.d/own.conf": "[Socket]\n",
    "/etc/sysconfig/docker": "#\n",
    "/etc/default/docker": "#\n",
}
_HEALTHY = {"User": "1000", "Healthcheck": {"Test": ["CMD", "/bin/true"]}}
_LINES = (
    "ADD rootfs.tar.gz / # buildkit",
    f"ENV DB_PASSWORD={SECRET} # buildkit",
    "RUN /bin/sh -c apt-get update # buildkit",
    "/bin/sh -c apt-get install -y --allow-unauthenticated curl",
    "/bin/sh -c #(nop) ADD file:0123 in /opt/x ",
)


@contextlib.contextmanager
def loose() -> t.Iterator[DockerHost]:
    """Give a host whose engine and files are open to others, with one image that has all that images should not."""
    with _host(_LOOSE, {}, has_own_disk=False) as host:
        for path in ("/etc/docker", *_PLACED, *_CERTIFICATES.values(), *_SOCKETS):
            open_to_others(host, path)
        host.inside("sed", "-i", "s/^docker:[^,]*:$/&nobody/", "/etc/group")
        image = Made("bb:1", OLD, {"Env": [f"DB_PASSWORD={SECRET}"]}, _LINES, {"usr/bin/su": 0o4755})
        host("load", given=image.archive())
        host("run", "--detach", "--network=none", "--name=web", "bb:1", "/bin/sleep", "3000")
        yield host


def open_to_others(host: DockerHost, path: str) -> None:
    host.inside("chown", "nobody:nogroup", path)
    host.inside("chmod", "a+rw", path)


def change_settings(host: DockerHost, changes: t.Mapping[str, t.Any]) -> None:
    """Write other settings into daemon.json, which an engine reads when it starts, and open it to others."""
    place = host.directory / "etc" / "docker" / "daemon.json"
    host.inside(
        "sh",
        "-c",
        'printf %s "$1" >/etc/docker/daemon.json',
        "sh",
        json.dumps({**json.loads(place.read_text()), **changes}),
    )
    open_to_others(host, "/etc/docker/daemon.json")


def controls(host: DockerHost, **options: t.Any) -> dict[str, t.Any]:
    return {each["control"]: each for each in host.collect(**options)["controls"]}


@contextlib.contextmanager
def tight() -> t.Iterator[DockerHost]:
    """Give a host whose engine is hardened, with an image that was made now."""
    with _host(_TIGHT, _MAPPED, has_own_disk=True) as host:
        for path in ("/etc/docker/certs.d/registry.example/ca.crt", *_CERTIFICATES.values()):
            host.inside("chmod", "400", path)
        image = Made("bb:1", host("info", "--format={{.SystemTime}}"), _HEALTHY)
        host("load", given=image.archive())
        host("run", "--detach", "--network=none", "--name=web", "bb:1", "/bin/sleep", "3000")
        yield host


@contextlib.contextmanager
def _host(settings: t.Mapping[str, t.Any], files: t.Mapping[str, str], has_own_disk: bool) -> t.Iterator[DockerHost]:
    certificates = _certificates()
    texts = {**files, **_PLACED, **certificates, "/etc/docker/daemon.json": json.dumps(settings)}
    host = DockerHost((), texts, has_own_disk)
    host.control_group = _GROUP
    with contextlib.ExitStack() as stack:
        stack.enter_context(_authorization(host.directory / "run" / "docker" / "plugins" / "own.sock"))
        # An engine without its plugin answers nothing.
        stack.callback(host.stop)
        host.start()
        yield host


def _certificates() -> dict[str, str]:
    """Return a certificate that is its own authority, in the place of all three files."""
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=own"]
    command = [str(commands.find("openssl")), *request, "-keyout", "-", "-out", "-"]
    pem = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return dict.fromkeys(_CERTIFICATES.values(), pem)


class _Plugin(http.server.BaseHTTPRequestHandler):
    """An authorization plugin that allows everything: https://docs.docker.com/engine/extend/plugins_authorization/."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = {"Implements": ["authz"]} if self.path == "/Plugin.Activate" else {"Allow": True}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "engine"

    def log_message(self, *_arguments: t.Any) -> None:
        pass


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def _authorization(path: pathlib.Path) -> t.Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _Server(str(path), _Plugin) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
