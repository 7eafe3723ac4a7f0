# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engines of the tests are configured: one breaks what it can, the other keeps to everything."""

from __future__ import annotations

import functools
import json
import pathlib
import subprocess
import tempfile
import typing as t

from tests.integration.docker_hardening._docker_host import ADDRESS
from tests.support import commands

# What the operator allows; each of it turns questions into verdicts.
DECIDED: t.Mapping[str, t.Any] = {
    "ports": ["8443"],
    "image_age": 30,
    "sprawl": 0,
    "swarm": False,
    "trusted_users": ["root"],
    "seccomp": ["builtin"],
    "log_drivers": ["syslog"],
    "authorization": ["allow"],
    "registries": ["registry.example.com"],
}
# What the careless engine has is not among it.
REFUSED: t.Mapping[str, t.Any] = {**DECIDED, "seccomp": ["strict.json"]}
# It is in an image, its history and a service, and in no result.
SECRET = "hunter2hunter2"
DOCKER_GROUP = 64001
_CERTIFICATES = "/etc/docker/tls"
_TLS = {f"tls{name}": f"{_CERTIFICATES}/{name}.pem" for name in ("cacert", "cert", "key")}
_CARELESS = {
    **_TLS,
    "hosts": ["unix:///run/docker.sock", "tcp://0.0.0.0:2376"],
    "tls": True,
    "log-level": "debug",
    "iptables": False,
    "ip6tables": False,
    "insecure-registries": ["registry.example.com:5000"],
    "experimental": True,
    "cgroup-parent": "@CONTROL_GROUP@",
}
_HARDENED = {
    **_TLS,
    "hosts": ["unix:///run/docker.sock", f"tcp://{ADDRESS}:2376"],
    "tlsverify": True,
    "userns-remap": "nobody:65534",
    "icc": False,
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1000, "Hard": 2000}},
    "authorization-plugins": ["allow"],
    "log-driver": "syslog",
    "log-opts": {"syslog-address": f"udp://{ADDRESS}:514"},
    "no-new-privileges": True,
    "live-restore": True,
    "userland-proxy": False,
}
_UNIT = "[Service]\nExecStart=/usr/sbin/dockerd\n"
_FILES = {
    "/etc/systemd/system/docker.service": _UNIT,
    "/etc/systemd/system/docker.socket": "[Socket]\nListenStream=/run/docker.sock\n",
    "/etc/default/docker": "# nothing\n",
    "/etc/sysconfig/docker": "# nothing\n",
    "/etc/containerd/config.toml": "version = 2\n",
    "/etc/docker/certs.d/registry.example.com/ca.crt": "a certificate\n",
    # Programs that only some distributions have; nobody starts them.
    "/usr/local/bin/containerd-shim": "",
    "/usr/local/bin/containerd-shim-runc-v1": "",
}


def careless() -> dict[str, str]:
    return {
        **_FILES,
        **_certificates(),
        "/etc/docker/daemon.json": json.dumps(_CARELESS),
        "/etc/group": _with_member("mallory"),
        "/etc/passwd": _read("/etc/passwd") + "mallory:x:4711:4711::/home/mallory:/bin/sh\n",
    }


def changed() -> str:
    """Return what somebody wrote into the careless engine's file, which it reads when it starts."""
    return json.dumps({**_CARELESS, "no-new-privileges": True, "userland-proxy": False})


def hardened() -> dict[str, str]:
    # An account that every host has gets numbers for the users in containers.
    ranges = {f"/etc/{name}": "nobody:100000:65536\n" for name in ("subuid", "subgid")}
    return {**_FILES, **_certificates(), **ranges, "/etc/docker/daemon.json": json.dumps(_HARDENED)}


def plain() -> dict[str, str]:
    return {**_FILES, "/etc/docker/daemon.json": "{}"}


def _read(path: str) -> str:
    return pathlib.Path(path).read_text(encoding="utf-8")


def _with_member(name: str) -> str:
    """Return the groups of this machine with a member of the group docker, which it may lack."""
    lines = [line for line in _read("/etc/group").splitlines() if not line.startswith("docker:")]
    return "\n".join([*lines, f"docker:x:{DOCKER_GROUP}:{name}", ""])


@functools.cache
def _certificates() -> dict[str, str]:
    """Return a certificate that signed itself, with its key, by the paths at which the engine finds them."""
    with tempfile.TemporaryDirectory() as directory:
        key, certificate = (f"{directory}/{name}" for name in ("key", "certificate"))
        command = [str(commands.find("openssl")), "req", "-x509", "-nodes", "-newkey", "ec", "-subj", "/CN=tests"]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-keyout", key, "-out", certificate]
        subprocess.run(command, capture_output=True, check=True)
        return {
            _TLS["tlscacert"]: _read(certificate),
            _TLS["tlscert"]: _read(certificate),
            _TLS["tlskey"]: _read(key),
        }
