# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Debian with systemd, sshd and fapolicyd, on which fapolicyd may enforce: nothing else can freeze.

    with enforcing_host.booted(tmp_path) as host:
        host.run("systemctl start fapolicyd")
        host.ssh("id", user="ansible")
        host.reboot()

The host's root is an ext3 file of its own, and its fapolicyd.conf says ``watch_fs = ext3``: the daemon marks the mounts
of its own mount namespace only. The end of the block kills the host, whatever state it is in.

The test, or its file, says ``pytest.mark.requires(*enforcing_host.NEEDS)``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import secrets
import shlex
import signal
import socket
import subprocess
import typing as t

from tests.support import waiting
from tests.support.enforcing_image import Image, build_image, run_command

NEEDS: t.Final = (
    "root",
    "command:mmdebstrap",
    "command:mkfs.ext3",
    "command:systemd-nspawn",
    "command:nsenter",
    "command:setpriv",
    "command:ip",
    "command:ssh",
)

# /tmp is on the root, whose file system is watched.
_SYSTEM: t.Final[t.Mapping[str, str]] = {"SYSTEMD_SECCOMP": "0", "SYSTEMD_NSPAWN_TMPFS_TMP": "0"}


class Host:
    """A host that runs. address: IPv4, reachable from this machine. key: the private key of root and ``ansible``."""

    def __init__(self, directory: pathlib.Path, image: Image, name: str, address: str, binds: t.Sequence[str]) -> None:
        self.name = name
        self.address = address
        self.key = image.key
        self.known_hosts = directory / "known_hosts"
        self._directory = directory
        self._root = directory / "root"
        self._binds = binds
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def path(self, path: str) -> pathlib.Path:
        """Return a file of the host's root as this machine sees it; not below /run.

        With ``allow_filesystem_mark = 1`` the daemon is asked for it and refuses, as it can't see this machine's
        processes: use ``run`` while it runs.
        """
        return self._root / path.lstrip("/")

    def run(
        self,
        command: str | t.Sequence[str],
        *,
        given: str = "",
        check: bool = True,
        seconds: float = waiting.SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script, or a command, there as root; AssertionError when it fails. given: its standard input.

        Raises subprocess.TimeoutExpired when it takes longer, as it does while fapolicyd is frozen.
        """
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        enter = ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "-C", f"--root=/proc/{self.pid}/root"]
        environment = [
            "env",
            "-i",
            "HOME=/root",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
        ]
        return run_command([*enter, "--wdns=/", *environment, *words], given=given, check=check, seconds=seconds)

    def ssh(
        self, command: str, *, user: str = "root", check: bool = True, seconds: float = waiting.SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command through a new connection; AssertionError when it fails."""
        words = ["ssh", "-F", "none", "-q", "-l", user, *self.ssh_options(), self.address, command]
        return run_command(words, check=check, seconds=seconds)

    def ssh_options(self) -> list[str]:
        """Return the options that ssh needs to sign in, for Ansible's ``ansible_ssh_common_args``, too."""
        options = {
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "UserKnownHostsFile": self.known_hosts,
            "BatchMode": "yes",
            "ConnectTimeout": "10",
        }
        return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]

    def variables(self, user: str = "ansible") -> dict[str, t.Any]:
        """Return what an inventory says of the host. With ``ansible``, tasks that need root become it by sudo."""
        return {
            "ansible_host": self.address,
            "ansible_user": user,
            "ansible_ssh_common_args": shlex.join(["-F", "none", *self.ssh_options()]),
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def outside(self, pid: int) -> int:
        """Return this machine's number of a process there: a signal from here needs nothing that can freeze."""
        for process in _descendants(self.pid):
            if _numbers(process)[-1:] == [pid]:
                return process
        raise ProcessLookupError(f"{self.name} has no process {pid}")

    def reboot(self) -> None:
        """Cut the power and boot the same root again; what was in memory is gone."""
        self.kill()
        self.boot()

    def boot(self) -> None:
        """Start the host and return when systemd has started everything and sshd answers."""
        command = [
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--capability=all"),
            *("--machine", self.name, "--directory", str(self._root), "--console=pipe", "--settings=no"),
            *("--network-namespace-path", f"/run/netns/{self.name}", "--resolv-conf=off", "--timezone=off"),
            *("--link-journal=no", *(f"--bind={bind}" for bind in self._binds)),
        ]
        # Each host has control groups of its own: the units of two of them would be in the same ones.
        join = "".join(
            f"mkdir -p {group} && echo $$ > {group}/cgroup.procs || exit 1\n" for group in self._control_groups()
        )
        with (self._directory / "console").open("ab") as console:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-c", f'{join}exec "$@"', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={**os.environ, **_SYSTEM, **_hierarchy()},
            )
        waiting.until(self._find_first, self._console)
        waiting.until(self._has_started, self._console)
        waiting.until(self._answers, self._console)

    def kill(self) -> None:
        """End everything there at once. A frozen fapolicyd can't delay it: the signal is no open and no execution."""
        if self._process is None:
            return
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        try:
            self._process.wait(5 if self.pid else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process, self.pid = None, 0
        for group in map(pathlib.Path, self._control_groups()):
            # The kernel counts a process for a moment after it was waited for.
            waiting.until(functools.partial(_is_removed, group), f"{group} stays in use")

    def _control_groups(self) -> list[str]:
        top = pathlib.Path("/sys/fs/cgroup")
        if (top / "cgroup.procs").exists():
            return [f"{top}/{self.name}"]
        # systemd has no use for cpuset of version 1, where a new group takes no process.
        return [f"{file.parent}/{self.name}" for file in top.glob("*/cgroup.procs") if file.parent.name != "cpuset"]

    def _find_first(self) -> bool:
        """Look for the host's first process; the only one below systemd-nspawn that is number 1 of its namespace."""
        assert self._process is not None
        assert self._process.poll() is None, self._console()
        for pid in _descendants(self._process.pid):
            with contextlib.suppress(OSError):
                name = pathlib.Path(f"/proc/{pid}/comm").read_text()
                if _numbers(pid)[1:] == [1] and name == "systemd\n":
                    self.pid = pid
                    return True
        return False

    def _has_started(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._console()
        state = self.run("systemctl is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def _console(self) -> str:
        return (self._directory / "console").read_text("utf-8", "replace")[-4000:]


@contextlib.contextmanager
def booted(
    directory: pathlib.Path,
    *,
    packages: t.Sequence[str] = (),
    audit_log: pathlib.Path | None = None,
    file: pathlib.Path | None = None,
    namespace: tuple[str, str] | None = None,
) -> t.Iterator[Host]:
    """Have a host while the block runs, with its files below ``directory``.

    packages: of Debian, beside those that each host has. audit_log: the directory that is its /var/log/audit, as the
    log of this machine's only audit daemon. file: a changed copy of the file system with these packages. namespace: the
    name and address of a network namespace that is there, and that this thread reaches.
    """
    made = build_image(packages)
    made = made._replace(file=file or made.file)
    directory.mkdir(parents=True, exist_ok=True)
    binds = [f"{audit_log}:/var/log/audit"] if audit_log else []
    network = contextlib.nullcontext(namespace) if namespace else _network()
    with network as (name, address), _mounted(made.file, directory):
        host = Host(directory, made, name, address, binds)
        host.known_hosts.write_text(f"{address} {made.host_key}\n")
        try:
            host.boot()
            yield host
        finally:
            host.kill()


@contextlib.contextmanager
def _mounted(file: pathlib.Path, directory: pathlib.Path) -> t.Iterator[None]:
    """Have a copy of a file system mounted at ``root`` below the directory while the block runs."""
    copy, root = directory / "root.ext3", directory / "root"
    root.mkdir()
    try:
        run_command(["cp", "--sparse=always", str(file), str(copy)])
        run_command(["mount", "-t", "ext3", "-o", "loop,noatime", str(copy), str(root)])
        try:
            yield
        finally:
            # A process that is being killed has its files for a moment longer.
            waiting.until(
                lambda: run_command(["umount", str(root)], check=False).returncode == 0, f"{root} stays in use"
            )
    finally:
        copy.unlink(missing_ok=True)


@contextlib.contextmanager
def _network() -> t.Iterator[tuple[str, str]]:
    """Make a network namespace with a cable to this machine; yield its name and its address."""
    name = f"bwhost{secrets.token_hex(4)}"
    # Link-local addresses: no route of the machine leads there. A /30 has two.
    net = f"169.254.{secrets.randbelow(250) + 1}"
    first = secrets.randbelow(64) * 4
    try:
        run_command(["ip", "netns", "add", name])
        run_command(
            ["ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", str(os.getpid())]
        )
        run_command(["ip", "-n", name, "link", "set", "lo", "up"])
        run_command(["ip", "-n", name, "address", "add", f"{net}.{first + 2}/30", "dev", "eth0"])
        run_command(["ip", "-n", name, "link", "set", "eth0", "up"])
        run_command(["ip", "address", "add", f"{net}.{first + 1}/30", "dev", name])
        run_command(["ip", "link", "set", name, "up"])
        yield name, f"{net}.{first + 2}"
    finally:
        run_command(["ip", "link", "delete", name], check=False)
        run_command(["ip", "netns", "delete", name], check=False)


def _hierarchy() -> dict[str, str]:
    """Return what tells systemd-nspawn that the machine has control groups of version 1, as it itself guesses wrong."""
    legacy = not os.path.exists("/sys/fs/cgroup/cgroup.procs")
    return {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"} if legacy else {}


def _descendants(pid: int) -> list[int]:
    descendants = []
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, file.read_text().split()):
                descendants += [child, *_descendants(child)]
    return descendants


def _numbers(pid: int) -> list[int]:
    """Return a process's numbers, that of the innermost namespace last; none when it has ended."""
    with contextlib.suppress(OSError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return list(map(int, status.partition("NSpid:")[2].partition("\n")[0].split()))
    return []


def _is_removed(group: pathlib.Path) -> bool:
    """Remove a control group with those in it; say whether it is gone."""
    for directory, _directories, _files in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(directory)
    return not group.exists()
