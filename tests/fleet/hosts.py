# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One disposable host: a container with sshd, its own firewall and nothing of the machine's file system."""

from __future__ import annotations

import dataclasses
import io
import shlex
import socket
import tarfile
import time
import typing as t

from tests.fleet import images
from tests.fleet.engine import Engine, EngineError
from tests.fleet.keys import Keys

# How long a host may take until it can be used: on a busy machine 30 seconds were not enough for systemd.
_READY_SECONDS = 180
_CAPABILITIES = ("NET_ADMIN", "SYS_PTRACE", "LINUX_IMMUTABLE")


@dataclasses.dataclass(frozen=True)
class Host:
    """A running host. ``name`` is its inventory name and host name, ``kind`` one of images.PYTHONS."""

    name: str
    kind: str
    address: str
    container: str
    engine: Engine

    @property
    def python(self) -> str:
        """Return the path of the Python that modules run with."""
        return images.interpreter(self.kind)

    def run(self, *command: str, stdin: bytes | None = None, check: bool = True) -> str:
        """Run a command on the host as root, not over SSH, and return what it printed; raise EngineError."""
        return self.engine("exec", "--interactive", self.container, *command, check=check, stdin=stdin)

    def shell(self, script: str, check: bool = True) -> str:
        """Run a script in the host's /bin/sh as root, stopping at the first command that fails."""
        return self.run("/bin/sh", "-euc", script, check=check)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file of root's; its directory must exist."""
        data = content.encode() if isinstance(content, str) else content
        self.run("/bin/sh", "-euc", f"cat > {shlex.quote(path)}; chmod {mode:o} {shlex.quote(path)}", stdin=data)

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""
        archive = self.engine.run("cp", f"{self.container}:{path}", "-")
        if archive.returncode != 0:
            raise EngineError(
                f"{path} on {self.name} cannot be read: {archive.stderr.decode(errors='replace').strip()}"
            )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            member = tar.extractfile(tar.getmembers()[0])
            if member is None:
                raise EngineError(f"{path} on {self.name} is not a regular file")
            return member.read()


def start(engine: Engine, keys: Keys, network: str, name: str, kind: str, labels: t.Sequence[str]) -> Host:
    """Start a host that is as its image made it, and return it once its sshd answers; raise EngineError."""
    command = ["create", "--name", f"{network}-{name}", "--hostname", name, "--network", network]
    for label in labels:
        command += ["--label", label]
    for capability in _CAPABILITIES:
        command += ["--cap-add", capability]
    container = engine(*command, images.tag(kind), "/usr/sbin/sshd", "-D", "-e")
    engine("cp", "--archive", "-", f"{container}:/", stdin=keys.host_files(name))
    engine("start", container)
    address = engine("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
    host = Host(name, kind, address, container, engine)
    _await_ssh(host)
    return host


def boot(engine: Engine, network: str, labels: t.Sequence[str]) -> Host:
    """Start a host with systemd as its first process, and return it once that has started everything."""
    # It makes cgroups and mounts.
    command = ["run", "--detach", "--privileged", "--network", network, "--tmpfs", "/run", "--tmpfs", "/run/lock"]
    for label in labels:
        command += ["--label", label]
    command += ["--env", "container=docker", "--env", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]
    container = engine(*command, images.BOOTING, "/lib/systemd/systemd")
    address = engine("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)
    host = Host("booted", "trixie", address, container, engine)
    await_boot(host)
    return host


def reboot(host: Host) -> None:
    """Start it again; the kernel is the same, all that lives in the host's network is gone."""
    host.engine("restart", host.container)
    await_boot(host)


def await_boot(host: Host) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    # In a container some unit fails, and the system counts as degraded.
    while host.run("systemctl", "is-system-running", check=False) not in ("running", "degraded"):
        if time.monotonic() > deadline:
            raise EngineError(f"systemd on {host.name} did not start everything within {_READY_SECONDS} s")
        time.sleep(0.5)


def _await_ssh(host: Host) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with socket.create_connection((host.address, 22), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            said = host.engine("logs", "--tail", "1", host.container, check=False)
            raise EngineError(f"sshd on {host.name} ({host.address}) did not answer within {_READY_SECONDS} s: {said}")
        time.sleep(0.05)
