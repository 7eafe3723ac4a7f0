# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian with daemons and an audit log of its own, in a network namespace with those who attack and use it.

Its processes have the numbers that the audit records have: the kernel writes those of its first namespace of processes
and takes rules from nobody else, so that a container could not have this. The processes of this machine are hidden.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import typing as t

from tests.integration.audit import _administered_host
from tests.integration.investigation import _base_image, _host_rules
from tests.support import audit, network, paths, waiting
from tests.support.enforcing_image import build_image, run_command

# Each as the service manager starts it, which leads a session of its own.
_DAEMONS = (
    "exec setsid /usr/sbin/rsyslogd -n",
    "exec setsid /usr/sbin/sshd -D",
    "exec setsid /usr/sbin/lighttpd -D -f /etc/lighttpd/lighttpd.conf",
    "exec setsid /usr/sbin/cron -f",
    "exec setsid /opt/app/bin/report",
)
_EVENT = re.compile(rb"^(?:node=\S+ )?type=(\w+) msg=audit\(([\d.]+:\d+)\)")
_CALL = re.compile(rb" ppid=(\d+) pid=(\d+) ")
_PID = re.compile(rb" pid=(\d+) ")


class Host:
    """A host that runs. root: its files. pid: of its first process."""

    def __init__(self, name: str, directory: pathlib.Path, site: network.Namespace, key: pathlib.Path) -> None:
        self.name, self.site, self.key = name, site, key
        self.root = directory / "root"
        self.directory = directory
        self.pid = 0
        # Processes that ran when the rules were loaded; those of containers are added.
        self.seeds: set[int] = set()
        self.containers: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return self.site.address[4]

    def start(self) -> None:
        run = ["unshare", "--mount", "/bin/sh", "-euc", _administered_host.START, "sh", str(self.root)]
        command = [*run, _base_image.INIT, *_DAEMONS]
        # A file that all daemons have open would connect all of them.
        with self.site.entered():
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        self.pid = self._process.pid
        waiting.until(self._is_up, f"sshd and lighttpd on {self.name} do not answer")

    def _is_up(self) -> bool:
        with self.site.entered():
            listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
        return ":22 " in listening and ":80 " in listening and (self.root / "dev").exists()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        _administered_host.end_what_runs_in(self.root)

    def enter(self, *command: str) -> list[str]:
        """Return the command that runs another one on the host, as root."""
        namespaces = [f"--mount=/proc/{self.pid}/ns/mnt", f"--net=/proc/{self.pid}/ns/net"]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["nsenter", *namespaces, "env", "-i", path, "chroot", str(self.root), *command]

    def run(self, script: str) -> str:
        """Run a shell script on the host as root, from outside; AssertionError when it fails."""
        return run_command(self.enter("/bin/sh", "-euc", script)).stdout

    def path(self, path: str) -> pathlib.Path:
        return self.root / path.lstrip("/")

    def hide_others(self) -> None:
        """Let the host see no process of this machine but its own, and what is started from now on."""
        _administered_host.hide_others(self.root, self.pid, self.container_processes())

    def container_processes(self) -> set[int]:
        """Return the processes in the host's containers, and those that hold them."""
        found = set()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                text = (process / "cgroup").read_text() + (process / "cmdline").read_text(errors="replace")
                if any(container in text for container in self.containers):
                    found.add(int(process.name))
        return found

    def deploy_rules(self) -> None:
        """Load the audit rules that ``bulwark.servers.protect`` deploys, on the host's own paths."""
        self.seeds |= _administered_host.running_in(self.root)
        self._apply_rules("present")

    def remove_rules(self) -> None:
        """Remove the audit rules. The kernel looks up their paths again, so that nobody else can."""
        self._apply_rules("absent")

    def _apply_rules(self, state: str) -> None:
        command = [sys.executable, "-m", _host_rules.__name__, str(self.pid), str(self.root), state]
        path = {"PYTHONPATH": f"{paths.COLLECTIONS}:{paths.ROOT}"}
        done = subprocess.run(command, env={**os.environ, **path}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def write_audit_log(self, daemon: audit.Daemon) -> None:
        """Give the host the records of its own processes, as its audit daemon would have them."""
        daemon.settle()
        log = self.path("/var/log/audit/audit.log")
        log.parent.mkdir(mode=0o700, exist_ok=True)
        log.write_bytes(own_records(daemon.content(), self.seeds))


def own_records(content: bytes, seeds: t.Iterable[int]) -> bytes:
    """Return the records of these processes and of all that they started, numbered as if there had been no others."""
    family = {b"%d" % seed for seed in seeds}
    lines = content.splitlines(keepends=True)
    wanted: set[bytes] = set()
    for line in lines:
        event = _EVENT.match(line)
        if event is None:
            continue
        call = _CALL.search(line) if event.group(1) == b"SYSCALL" else None
        if call is not None and call.group(1) in family:
            family.add(call.group(2))
        pid = call.group(2) if call is not None else None
        if pid is None and (match := _PID.search(line)):
            pid = match.group(1)
        if pid in family:
            wanted.add(event.group(2))
    numbers: dict[bytes, bytes] = {}
    own = []
    for line in lines:
        event = _EVENT.match(line)
        if event is not None and event.group(2) in wanted:
            time, _colon, _number = event.group(2).partition(b":")
            number = numbers.setdefault(event.group(2), b"%s:%d" % (time, len(numbers) + 1))
            own.append(line.replace(event.group(2), number, 1))
    return b"".join(own)


@contextlib.contextmanager
def running(name: str, base: pathlib.Path, directory: pathlib.Path, site: network.Namespace) -> t.Iterator[Host]:
    """Start a host. base: the mounted file system that it begins with."""
    directory.mkdir()
    for part in ("upper", "work", "root"):
        (directory / part).mkdir()
    host = Host(name, directory, site, build_image(_base_image.PACKAGES).key)
    layers = f"lowerdir={base},upperdir={directory}/upper,workdir={directory}/work"
    run_command(["mount", "-t", "overlay", "-o", layers, "overlay", str(host.root)])
    try:
        host.start()
        yield host
    finally:
        host.stop()
        waiting.until(lambda: run_command(["umount", str(host.root)], check=False).returncode == 0, "it stays mounted")


class Reachable(t.Protocol):
    """A host that Ansible signs in to as ``ansible``."""

    address: t.Any
    key: pathlib.Path


def inventory(path: pathlib.Path, hosts: t.Mapping[str, Reachable], admin: network.Namespace) -> None:
    """Write the inventory of hosts that are reached from a network namespace, by their names."""
    wrapper = path.with_name("ssh-from-there")
    wrapper.write_text(f'#!/bin/sh\nexec nsenter --net=/run/netns/{admin.name} ssh "$@"\n')
    wrapper.chmod(0o755)
    variables = {
        "ansible_user": "ansible",
        "ansible_ssh_executable": str(wrapper),
        "ansible_ssh_common_args": shlex.join(["-F", "none", *ssh_options(path.parent)]),
        "ansible_python_interpreter": "/usr/bin/python3",
        # Hosts of other tests have the same addresses in their own namespaces.
        "ansible_control_path": f"%(directory)s/{admin.name}-{{{{ inventory_hostname }}}}",
    }
    listed = {
        name: {"ansible_host": host.address, "ansible_ssh_private_key_file": str(host.key)}
        for name, host in hosts.items()
    }
    path.write_text(json.dumps({"all": {"vars": variables, "hosts": listed}}))


def ssh_options(directory: pathlib.Path) -> list[str]:
    known = f"UserKnownHostsFile={directory}/known_hosts"
    options_ = (known, "StrictHostKeyChecking=no", "LogLevel=ERROR", "IdentitiesOnly=yes", "IdentityAgent=none")
    return [word for option in options_ for word in ("-o", option)]
