# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with a real Docker Engine of their own: namespaces in which nothing else of this machine is seen.

Each has its own mounts, processes and network, so that an engine has the paths, the bridge and the firewall rules that
it has on a server, and none of them is this machine's. Everything in it ends with its first process.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import typing as t

from tests.support import commands, paths
from tests.support.waiting import until

_COLLECT = pathlib.Path(__file__).with_name("_collect.py")
# Runs as process 1: it makes what a host has, starts the engine, and takes the end of orphans until the engine ends.
_BOOT = r"""
set -e
cd /
mount --make-rprivate /
mount --bind "$1/run" /run
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mount -t tmpfs -o size=256m tmpfs "$1/data"
mkdir "$1/data/docker" "$1/data/dpkg"
mount --bind /var/lib/dpkg "$1/data/dpkg"
mount --rbind "$1/data" /var/lib
if [ "$2" = own ]; then mount -t tmpfs -o size=256m tmpfs /var/lib/docker; fi
mount -t proc proc /proc
mount --make-rshared /
ip link set lo up
ip link add eth0 type veth peer name eth1
ip address add 192.0.2.1/24 dev eth0
ip address add 192.0.2.2/24 dev eth0
ip link set eth0 up
ip link set eth1 up
shift 2
exec 9>&-
"$@" &
wait $!
"""
_NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts")


class DockerHost:
    """A host with an engine. Called with the arguments of a Docker command, it returns what that printed."""

    def __init__(self, flags: t.Sequence[str], files: t.Mapping[str, str], has_own_disk: bool) -> None:
        # The path of a socket is short.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bw-", dir="/var/tmp"))
        for name in ("run", "etc", "work", "data", "shared"):
            (self.directory / name).mkdir()
        for path, text in files.items():
            place = self.directory / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        boot = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "sh", "-c", _BOOT, "boot"]
        boot += [str(self.directory), "own" if has_own_disk else "shared", str(commands.find("dockerd")), *flags]
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(boot, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # A parent for the control groups of containers, where none of another host's has the same.
        self.control_group = f"/{self.directory.name}"
        self._address = f"unix://{self.directory}/run/docker.sock"

    def start(self) -> None:
        """Wait until the engine answers."""
        until(lambda: self._process.poll() is not None or self._answers(), self._log)
        assert self._process.poll() is None, self._log()

    def _answers(self) -> bool:
        return self.run("version", check=False).returncode == 0

    def _log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-4000:]

    def run(self, *arguments: str, given: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        command = [str(commands.docker()), "--host", self._address, *arguments]
        environment = {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(self.directory)}
        environment.pop("DOCKER_HOST", None)
        answer = subprocess.run(command, input=given, capture_output=True, check=False, env=environment)
        assert answer.returncode == 0 or not check, (arguments, answer.stderr)
        return answer

    def __call__(self, *arguments: str, given: bytes = b"") -> str:
        return self.run(*arguments, given=given).stdout.decode().strip()

    def inside(self, *command: str) -> str:
        """Run a command on the host and return what it printed."""
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        enter = ["nsenter", "--target", children[0], *_NAMESPACES, "--wd=/", "--", *command]
        answer = subprocess.run(enter, capture_output=True, check=False)
        assert answer.returncode == 0, answer.stderr.decode(errors="replace")
        return answer.stdout.decode(errors="replace")

    def collect(self, **options: t.Any) -> dict[str, t.Any]:
        """Return what the module returns on this host."""
        return t.cast(
            "dict[str, t.Any]",
            json.loads(self.inside(sys.executable, str(_COLLECT), str(paths.COLLECTIONS), json.dumps(options))),
        )

    def stop(self) -> None:
        """End all containers, the engine and what is left, and remove the directory."""
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            stack.callback(self._remove_control_groups)
            stack.callback(self._process.wait, 30)
            # Its child, process 1, ends with it, and everything else with that.
            stack.callback(self._process.send_signal, signal.SIGKILL)
            if self._process.poll() is None and self._answers():
                self.run("swarm", "leave", "--force", check=False)
                found = self("ps", "--all", "--quiet").split()
                if found:
                    self.run("rm", "--force", "--volumes", *found, check=False)


    def _remove_control_groups(self) -> None:
        # The engine removes those of containers, and leaves those above them.
        root = pathlib.Path("/sys/fs/cgroup")
        for path in [*root.glob(f"*{self.control_group}"), root / self.control_group[1:]]:
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()


@contextlib.contextmanager
def docker_host(
    flags: t.Sequence[str] = (), files: t.Mapping[str, str] | None = None, has_own_disk: bool = False
) -> t.Iterator[DockerHost]:
    """Give a host whose engine answers. files: texts by path, below /etc and /run. has_own_disk: for the data root."""
    host = DockerHost(flags, files or {}, has_own_disk)
    try:
        host.start()
        yield host
    finally:
        host.stop()
