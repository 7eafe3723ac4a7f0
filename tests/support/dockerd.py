# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker engines of a test's own, beside any other that the machine has: with no bridge, and no rule of a firewall."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import time
import typing as t

from tests.support import commands, waiting

_ALONE = ("--bridge=none", "--iptables=false", "--ip6tables=false")
_SECONDS = 60
# Makes what runs there the only processes of a machine. What ends the first of them ends all.
_ALONE_HERE = ("unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")


@dataclasses.dataclass
class Engine:
    """An engine that runs. directory: all that it has. process: of dockerd, or of what ends it when it ends.

    name: of its socket. port: that it has in the place of a socket. client: options of the docker command.
    """

    directory: pathlib.Path
    process: subprocess.Popen[bytes]
    name: str = "docker.sock"
    port: int = 0
    client: t.Sequence[str] = ()

    @property
    def socket(self) -> pathlib.Path:
        return self.directory / self.name

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}" if self.port else f"unix://{self.socket}"

    def __call__(self, *arguments: str, given: bytes = b"") -> str:
        """Run a docker command and return what it printed."""
        client = commands.docker()
        assert client is not None
        ran = subprocess.run(
            [client, "--host", self.address, *self.client, *arguments], input=given, capture_output=True, check=False
        )
        assert ran.returncode == 0, ran.stderr.decode(errors="replace")
        return ran.stdout.decode().strip()

    def inside(self, command: t.Sequence[str]) -> list[str]:
        """Return a command that runs in the namespaces of an engine that is apart."""
        return ["nsenter", "--target", str(self.pid), "--pid", "--mount", *command]

    @property
    def pid(self) -> int:
        """The process of dockerd."""
        if self.process.args[0] != _ALONE_HERE[0]:  # type: ignore[index]
            return self.process.pid
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(children.split()[0])

    def answers(self) -> bool:
        try:
            self("version")
        except AssertionError:
            return False
        return True

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")


@contextlib.contextmanager
def running(directory: pathlib.Path, *arguments: str, is_apart: bool = False, **options: t.Any) -> t.Iterator[Engine]:
    """Start an engine with everything in a directory, and end it with its containers.

    is_apart: whether it and its containers are the only processes in a namespace of their own; see ``Engine.inside``.
    """
    program = commands.find("dockerd")
    assert program is not None
    directory.mkdir(exist_ok=True)
    command = [
        *(_ALONE_HERE if is_apart else ()),
        program,
        "--data-root",
        str(directory / "data"),
        "--exec-root",
        str(directory / "exec"),
    ]
    command += ["--pidfile", str(directory / "pid"), "--host", f"unix://{directory / 'docker.sock'}"]
    command += [*_ALONE, *arguments]
    with started(command, directory, **options) as engine:
        yield engine


@contextlib.contextmanager
def started(
    command: list[str],
    directory: pathlib.Path,
    name: str = "docker.sock",
    port: int = 0,
    client: t.Sequence[str] = (),
    **options: t.Any,
) -> t.Iterator[Engine]:
    """Start an engine with a command of one's own; see ``Engine``. options: of Popen."""
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
    engine = Engine(directory, process, name, port, client)
    try:
        waiting.until(lambda: engine.answers() or process.poll() is not None, lambda: engine.log()[-500:])
        assert process.poll() is None, engine.log()[-500:]
        yield engine
    finally:
        _end(engine)


def _end(engine: Engine) -> None:
    with contextlib.suppress(ProcessLookupError):
        engine.process.send_signal(signal.SIGCONT)
    with contextlib.suppress(AssertionError):
        names = engine("ps", "--all", "--quiet").split()
        if names:
            engine("rm", "--force", *names)
    with contextlib.suppress(OSError, IndexError):
        os.kill(engine.pid, signal.SIGTERM)
    try:
        engine.process.wait(_SECONDS)
    finally:
        engine.process.kill()
        engine.process.wait()
        for point in _mounted(engine.directory):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
        shutil.rmtree(engine.directory / "data", ignore_errors=True)
        shutil.rmtree(engine.directory / "exec", ignore_errors=True)


def _mounted(directory: pathlib.Path) -> list[str]:
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in reversed(lines) if line.split()[1].startswith(f"{directory}/")]


def busybox(files: t.Mapping[str, int] | None = None) -> bytes:
    """Return an archive for ``docker import`` with BusyBox and further empty files. files: their modes by path."""
    program = commands.find("busybox")
    assert program is not None
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        archive.add(os.path.realpath(program), "bin/busybox")
        for name in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, mode in (files or {}).items():
            member = tarfile.TarInfo(name.lstrip("/"))
            member.mode, member.mtime = mode, int(time.time())
            archive.addfile(member)
    return written.getvalue()
