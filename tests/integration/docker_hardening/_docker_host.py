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
ADDRESS, DATA_ADDRESS = "192.0.2.1", "192.0.2.2"
# Runs as process 1: it makes what a host has, starts the engine, and takes the end of orphans until the engine ends.
_BOOT = r"""
set -e
cd /
mount --make-rprivate /
mount --bind "$1/run" /run
for name in etc usr/local/bin; do
  mount -t overlay overlay -o "lowerdir=/$name,upperdir=$1/files/$name,workdir=$1/scratch/$name" "/$name"
done
mount -t tmpfs -o size=256m tmpfs "$1/data"
mkdir "$1/data/docker" "$1/data/dpkg"
mount --bind /var/lib/dpkg "$1/data/dpkg"
mount --rbind "$1/data" /var/lib
if [ "$2" = own ]; then mount -t tmpfs -o size=256m tmpfs /var/lib/docker; fi
if [ "$3" = own ]; then mount -t proc proc /proc; fi
mount --make-rshared /
ip link set lo up
ip link add eth0 type veth peer name eth1
ip address add 192.0.2.1/24 dev eth0
ip address add 192.0.2.2/24 dev eth0
ip link set eth0 up
ip link set eth1 up
containerd="$4"
shift 4
"$containerd" --log-level warn &
while [ ! -S /run/containerd/containerd.sock ]; do sleep 0.1; done
"$@" &
echo $! > /run/engine
wait $!
"""
# What a file has in place of 0644.
_MODES = {
    "/etc/docker/certs.d/registry.example.com/ca.crt": 0o444,
    "/etc/docker/tls/cacert.pem": 0o444,
    "/etc/docker/tls/cert.pem": 0o444,
    "/etc/docker/tls/key.pem": 0o400,
}
_SHARED = ("--mount", "--net", "--ipc", "--uts")


class DockerHost:
    """A host with an engine. Called with the arguments of a Docker command, it returns what that printed.

    files: texts by path, below /etc, /run and /usr/local/bin. owner: of those; if it is not root, everybody may change
    them. has_own_disk: for the data root. has_own_processes: without them it is in the first PID namespace, outside of
    which the kernel tells nobody its audit rules.
    """

    def __init__(
        self, files: t.Mapping[str, str], owner: int = 0, has_own_disk: bool = False, has_own_processes: bool = True
    ) -> None:
        # The path of a socket is short.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bw-", dir="/var/tmp"))
        # A parent for the control groups of containers, which no other host has.
        self.control_group = f"/{self.directory.name}"
        for name in ("run", "data", "files/etc", "files/usr/local/bin", "scratch/etc", "scratch/usr/local/bin"):
            (self.directory / name).mkdir(parents=True)
        for path, text in files.items():
            place = self.path(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text.replace("@CONTROL_GROUP@", self.control_group), encoding="utf-8")
            os.chown(place, owner, owner)
            place.chmod(_MODES.get(path, 0o644) if owner == 0 else 0o777)
        self._namespaces = (*_SHARED, "--pid") if has_own_processes else _SHARED
        # It ends with the tests, however they end.
        boot = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            *self._namespaces,
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            _BOOT,
            "boot",
            str(self.directory),
        ]
        boot += ["own" if each else "shared" for each in (has_own_disk, has_own_processes)]
        boot += [str(commands.find("containerd")), str(commands.find("dockerd"))]
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                boot, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._address = f"unix://{self.directory}/run/docker.sock"

    def path(self, path: str) -> pathlib.Path:
        """Return where a file of the host is for this machine."""
        return self.directory / ("." if path.startswith("/run/") else "files") / path.lstrip("/")

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
        environment = {**os.environ, "DOCKER_CONFIG": str(self.directory)}
        for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CONTEXT"):
            environment.pop(name, None)
        answer = subprocess.run(command, input=given, capture_output=True, check=False, env=environment)
        assert answer.returncode == 0 or not check, (arguments, answer.stderr, self._log())
        return answer

    def __call__(self, *arguments: str, given: bytes = b"") -> str:
        return self.run(*arguments, given=given).stdout.decode().strip()

    def inside(self, *command: str) -> str:
        """Run a command on the host and return what it printed."""
        enter = ["nsenter", "--target", str(self._first()), *self._namespaces, "--wd=/", "--", *command]
        answer = subprocess.run(enter, capture_output=True, check=False)
        assert answer.returncode == 0, answer.stderr.decode(errors="replace")
        return answer.stdout.decode(errors="replace")

    def _first(self) -> int:
        """Return the process that everything on the host comes from."""
        path = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(path.read_text(encoding="ascii").split()[0])

    def collect(self, **options: t.Any) -> dict[str, t.Any]:
        """Return what the module returns on this host."""
        return t.cast("dict[str, t.Any]", json.loads(self.inside(*self._collecting(options))))

    def collect_outside(self) -> dict[str, t.Any]:
        """Return what the module returns on this machine, which has other mounts than the engine."""
        answer = subprocess.run(self._collecting({}), capture_output=True, check=True)
        return t.cast("dict[str, t.Any]", json.loads(answer.stdout))

    def _collecting(self, options: t.Mapping[str, t.Any]) -> list[str]:
        engine = (self.directory / "run" / "engine").read_text(encoding="ascii").strip()
        return [sys.executable, str(_COLLECT), str(paths.COLLECTIONS), json.dumps(options), engine]

    def stop(self) -> None:
        """End all containers, the engine and what is left, and remove the directory."""
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            stack.callback(self._remove_control_groups)
            stack.callback(self._process.wait, 30)
            # Its child ends with it, and where that is process 1, everything else with that.
            stack.callback(self._process.kill)
            if self._process.poll() is None and self._answers():
                self.run("swarm", "leave", "--force", check=False)
                found = self("ps", "--all", "--quiet").split()
                if found:
                    self.run("rm", "--force", "--volumes", *found, check=False)
            if "--pid" not in self._namespaces:
                self._end()

    def _end(self) -> None:
        """End the engine and its containerd, which are in the session of the first process."""
        session = self._process.pid
        engine = int((self.directory / "run" / "engine").read_text(encoding="ascii"))
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine, signal.SIGTERM)
        # The first process ends with the engine.
        self._process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)

    def _remove_control_groups(self) -> None:
        # The engine removes those of containers, and leaves those above them.
        root = pathlib.Path("/sys/fs/cgroup")
        for path in [*root.glob(f"*{self.control_group}"), root / self.control_group[1:]]:
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()


@contextlib.contextmanager
def docker_host(files: t.Mapping[str, str], **options: t.Any) -> t.Iterator[DockerHost]:
    """Give a host whose engine answers; its options are those of DockerHost."""
    host = DockerHost(files, **options)
    try:
        host.start()
        yield host
    finally:
        host.stop()
