# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian in a directory that is administered over SSH as a server is.

It has files, accounts, PAM, sshd and daemons of its own, and shares the network and the processes of this machine. So
rules that watch files can be loaded on it as on a server: the kernel looks paths up in the root of who loads them. In a
container it lets nobody load any.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import time
import typing as t

from tests.fleet import images
from tests.fleet.engine import Engine
from tests.support import waiting
from tests.support.fresh_root import FreshRoot

ADMINISTRATOR = "carol"
# Whom Ansible signs in as.
AUTOMATION = "automation"
_SECONDS = 600
# $1: the directory. The rest: the command that runs there.
START: t.Final = r"""
root=$1
shift
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=755 none "$root/dev"
make_device() { mknod -m 666 "$root/dev/$1" c "$2" "$3"; }
for device in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
    make_device $device
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/sshd" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
ln -s /proc/self/fd "$root/dev/fd"
# Nothing of the machine's Python or of the tests is there.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
"""
_ACCOUNT = """
useradd --create-home --shell /bin/bash --uid {uid} {name}
echo '{name} ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/{name}
chmod 0440 /etc/sudoers.d/{name}
install -d -m 0700 -o {name} -g {name} /home/{name}/.ssh
"""
_PREPARE = """
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
printf '%s\n' 'Port {port}' 'ListenAddress 127.0.0.1' > /etc/ssh/sshd_config.d/test.conf
# Packages must not start services on ports of this machine.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
test -z "${{http_proxy:-}}" || echo "Acquire::http::Proxy \"$http_proxy\";" > /etc/apt/apt.conf.d/proxy
# A host that lives for a minute needs nothing written to the disk.
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/test
"""


class AdministeredHost:
    """The host while it runs. root: its files. pid: of its sshd."""

    pid: int

    def __init__(self, directory: pathlib.Path, root: pathlib.Path, port: int) -> None:
        self.root, self.port = root, port
        self.key = directory / "key"
        self.inventory = directory / "administered.json"
        options = f"-o UserKnownHostsFile={directory}/known_hosts -o StrictHostKeyChecking=accept-new -F none"
        self._ssh = ["ssh", "-p", str(port), "-i", str(self.key), *shlex.split(options), "-o", "LogLevel=ERROR"]
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": AUTOMATION,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        self.inventory.write_text(json.dumps({"all": {"hosts": {"administered": host}}}))

    def session(self, name: str, script: str) -> str:
        """Run a script in an interactive shell at a terminal, as the administrator; AssertionError when it fails."""
        home = self.root / "home" / ADMINISTRATOR
        file = home / f"{name}.sh"
        # What a shell runs at its end is not part of it.
        file.write_text(f"set -e\n{script}\nset +e\n")
        return self._run(name, ["-tt"], f". ./{file.name}; exit\n")

    def command(self, name: str, script: str) -> str:
        """Run a command as ``ssh host command`` does."""
        return self._run(name, [], "", script)

    def hide_others(self) -> None:
        """Let the host see no process of this machine but its own, and what is started from now on."""
        hide_others(self.root, self.pid)

    def _run(self, name: str, options: t.Sequence[str], typed: str, *command: str) -> str:
        answer = subprocess.run(
            [*self._ssh, *options, f"{ADMINISTRATOR}@127.0.0.1", *command],
            input=typed.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
        said = answer.stdout.decode(errors="replace")
        assert answer.returncode == 0, f"{name} ended with {answer.returncode}: {said}"
        return said


def hide_others(root: pathlib.Path, pid: int, but: t.Container[int] = ()) -> None:
    """Let the processes of a root see no process of this machine but their own, and what is started from now on.

    pid: one of them. but: processes that they may see, too.
    """
    own = running_in(root)
    numbers = (int(each.name) for each in pathlib.Path("/proc").glob("[0-9]*"))
    others = [str(number) for number in numbers if number not in own and number not in but]
    # A process may end before its turn; one that is still there must not stay visible.
    script = 'for pid; do mount --bind "$0/mnt" "$0/proc/$pid" 2> /dev/null || [ ! -d "$0/proc/$pid" ] || exit 1; done'
    command = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "/bin/sh", "-c", script, str(root), *others]
    subprocess.run(command, check=True)


@contextlib.contextmanager
def running(engine: Engine, directory: pathlib.Path, uid: int, automation: int) -> t.Iterator[AdministeredHost]:
    """Start a new host. directory: of the test. uid: of its administrator. automation: of whom Ansible is."""
    root = directory / "host"
    root.mkdir()
    try:
        _unpack(engine, directory, root)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        host = AdministeredHost(directory, root, port)
        accounts = {ADMINISTRATOR: uid, AUTOMATION: automation}
        made = "".join(_ACCOUNT.format(name=name, uid=number) for name, number in accounts.items())
        FreshRoot(root).run(made + _PREPARE.format(port=port))
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host.key)], check=True)
        for name, number in accounts.items():
            keys = root / "home" / name / ".ssh" / "authorized_keys"
            keys.write_bytes(host.key.with_suffix(".pub").read_bytes())
            os.chown(keys, number, number)
        command = ["unshare", "--mount", "/bin/sh", "-euc", START, "sh", str(root), "/usr/sbin/sshd", "-D", "-e"]
        with (directory / "sshd.out").open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            try:
                _await(process, directory / "sshd.out", port)
                host.pid = process.pid
                yield host
            finally:
                process.terminate()
                process.wait()
                end_what_runs_in(root)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)


def _unpack(engine: Engine, directory: pathlib.Path, root: pathlib.Path) -> None:
    images.ensure(engine, ["trixie"])
    container = engine("create", images.tag("trixie"), "true")
    archive = directory / "host.tar"
    try:
        engine("export", "--output", str(archive), container)
        subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", archive], check=True)
    finally:
        archive.unlink(missing_ok=True)
        engine("rm", container)


def _await(process: subprocess.Popen[bytes], output: pathlib.Path, port: int) -> None:
    deadline = time.monotonic() + waiting.SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if connection.recv(4) == b"SSH-":
                return
        assert process.poll() is None, output.read_text(errors="replace")
        assert time.monotonic() < deadline, "sshd doesn't answer"
        time.sleep(0.05)


def end_what_runs_in(root: pathlib.Path) -> None:
    """End the processes that have this root, as daemons that were started there do."""
    for pid in running_in(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def running_in(root: pathlib.Path) -> set[int]:
    """Return the processes that have this root."""
    own = _identity(root)
    return {int(each.name) for each in pathlib.Path("/proc").glob("[0-9]*") if _identity(each / "root") == own}


def _identity(path: pathlib.Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        return path.stat().st_dev, path.stat().st_ino
    return None
