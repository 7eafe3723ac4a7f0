# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real sshd with accounts, passwords and logs of its own, of which the rest of the machine sees nothing but a port.

    with sshd.server(tmp_path) as server:
        server.password("alice", "wrong")
        server.log.read_text()

It runs in a mount namespace of its own: its /etc/passwd, /etc/shadow, PAM configuration, /dev/log and binary logs are
files of the test. rsyslogd writes what it says to ``log`` and, in the traditional form, to ``traditional``; beside them
are ``FORMS``, which are other forms of the same.

The test, or its file, says ``pytest.mark.requires(*sshd.NEEDS)``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import shlex
import socket
import subprocess
import time
import typing as t

from tests.support import commands, waiting

NEEDS = ("root", "command:sshd", "command:ssh", "command:rsyslogd", "command:unshare", "command:openssl")
# Files with the same lines, and what rsyslogd writes them with.
FORMS = {
    "protocol.log": 'template="RSYSLOG_SyslogProtocol23Format"',
    "message.json": 'template="whole_message"',
    "fields.json": 'template="fields"',
    "epoch.log": 'template="epoch"',
}
_TEMPLATES = r"""
template(name="whole_message" type="string" string="%jsonmesg%\n")
template(name="fields" type="list" option.jsonf="on") {
    property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="tag" name="syslogtag" format="jsonf")
    property(outname="message" name="msg" format="jsonf")
}
template(name="epoch" type="string" string="%timereported:::date-unixtimestamp% %hostname% %syslogtag%%msg%\n")
"""
ACCOUNT = "alice"
PASSWORD = "right"
UID = 4321

_START = r"""
set -e
cd "$1"
mount -t tmpfs none /dev
for device in 'null 1 3' 'zero 1 5' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
    set -- $device
    mknod -m 666 /dev/$1 c $2 $3
done
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
mount --bind passwd /etc/passwd
mount --bind shadow /etc/shadow
mount --bind pam /etc/pam.d/sshd
mount -t tmpfs -o mode=755 none /home
cp -a home /home/alice
mkdir -p /run/sshd
for name in btmp wtmp lastlog; do
    [ -e /var/log/$name ] && mount --bind $name /var/log/$name
done
rsyslogd -n -f "$PWD/rsyslog.conf" -i "$PWD/rsyslog.pid" >rsyslog.out 2>&1 &
echo $! >rsyslogd.pid
tries=0
until [ -S /dev/log ] || [ $tries -gt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
exec "$SSHD" -D -f "$PWD/sshd_config" >sshd.out 2>&1
"""


class Server:
    """The server, and a client of it."""

    def __init__(self, directory: pathlib.Path, port: int) -> None:
        self._directory = directory
        self.port = port
        # The kernel's audit records are of the whole machine: an address of its own tells this client's from others'.
        self.client = f"127.77.{port >> 8}.{port & 255}"
        self.log = directory / "auth.log"
        self.traditional = directory / "traditional.log"

    def password(self, user: str, *passwords: str, method: str = "password") -> bool:
        """Sign in by password, or keyboard-interactive, with one answer after the other; return whether it worked."""
        answers = self._directory / "answers"
        answers.write_text("".join(f"{password}\n" for password in passwords))
        ask = self._directory / "ask"
        ask.write_text(f"#!/bin/sh\nhead -n 1 {answers}\nsed -i 1d {answers}\n")
        ask.chmod(0o700)
        return self._connect(
            user,
            f"PreferredAuthentications={method}",
            "PubkeyAuthentication=no",
            f"NumberOfPasswordPrompts={len(passwords)}",
            environment={"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"},
        )

    def key(self, user: str, name: str) -> bool:
        """Sign in with a key, ``right`` or ``wrong``; return whether it worked."""
        identity = f"IdentityFile={self._directory / name}"
        return self._connect(user, "PreferredAuthentications=publickey", "BatchMode=yes", identity)

    def run(self, user: str, command: str) -> bool:
        """Sign in with the right key and run a command; return whether it worked."""
        identity = f"IdentityFile={self._directory / 'right'}"
        return self._connect(user, "PreferredAuthentications=publickey", "BatchMode=yes", identity, command=command)

    def greet(self, text: bytes) -> None:
        """Connect, say something that is no SSH, and hang up."""
        with socket.create_connection(("127.0.0.1", self.port), waiting.SECONDS, (self.client, 0)) as connection:
            connection.sendall(text)
            try:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except OSError as error:
                # sshd was the first to hang up, with what it had not read.
                if error.errno not in (errno.ENOTCONN, errno.ECONNRESET):
                    raise

    def _connect(
        self, user: str, *options: str, environment: t.Mapping[str, str] | None = None, command: str = "true"
    ) -> bool:
        always = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
        )
        program = ["ssh", "-F", "none", "-q", "-b", self.client, "-p", str(self.port), "-l", user]
        for option in (*always, *options):
            program += ["-o", option]
        answer = subprocess.run(
            [*program, "127.0.0.1", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, **(environment or {})},
        )
        return answer.returncode == 0

    def settle(self) -> None:
        """Wait until the log has not grown for a moment."""
        size = -1
        while size != (size := self.log.stat().st_size):
            time.sleep(0.3)


@contextlib.contextmanager
def server(directory: pathlib.Path, pam: t.Sequence[str] = (), **options: str) -> t.Iterator[Server]:
    """Run a server below ``directory`` while the block runs. pam: more lines for PAM. options: of sshd_config."""
    directory.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    _prepare(directory, port, options)
    with (directory / "pam").open("a") as stream:
        stream.writelines(f"{line}\n" for line in pam)
    path = commands.find("sshd")
    assert path is not None
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _START, "sh", str(directory)],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SSHD": path},
    )
    try:
        _wait(process, port, directory)
        yield Server(directory, port)
    finally:
        process.terminate()
        process.wait(waiting.SECONDS)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((directory / "rsyslogd.pid").read_text()), 15)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _prepare(directory: pathlib.Path, port: int, options: t.Mapping[str, str]) -> None:
    home = directory / "home"
    (home / ".ssh").mkdir(parents=True)
    for name in ("host", "right", "wrong"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
    (home / ".ssh" / "authorized_keys").write_text((directory / "right.pub").read_text())
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    (directory / "passwd").write_text(
        pathlib.Path("/etc/passwd").read_text() + f"{ACCOUNT}:x:{UID}:{UID}::/home/{ACCOUNT}:/bin/sh\n"
    )
    (directory / "shadow").touch(mode=0o600)
    (directory / "shadow").write_text(f"root:*:19000::::::\n{ACCOUNT}:{hashed}:19000:0:99999:7:::\n")
    kinds = ("auth required pam_unix.so nodelay", "account required pam_unix.so", "session required pam_unix.so")
    (directory / "pam").write_text("".join(f"{line}\n" for line in kinds))
    for name in ("btmp", "wtmp", "lastlog", "auth.log", "traditional.log"):
        (directory / name).touch()
    (directory / "rsyslog.conf").write_text(
        'module(load="imuxsock")\n'
        f'action(type="omfile" file="{directory}/auth.log" template="RSYSLOG_FileFormat")\n'
        f'action(type="omfile" file="{directory}/traditional.log" template="RSYSLOG_TraditionalFileFormat")\n'
        + _TEMPLATES
        + "".join(f'action(type="omfile" file="{directory}/{name}" {form})\n' for name, form in FORMS.items())
    )
    settings = {
        "Port": str(port),
        "ListenAddress": "127.0.0.1",
        "HostKey": str(directory / "host"),
        "PidFile": "none",
        "UsePAM": "yes",
        "StrictModes": "no",
        "UseDNS": "no",
        "PasswordAuthentication": "yes",
        "KbdInteractiveAuthentication": "yes",
        "MaxStartups": "100",
        **options,
    }
    if _penalties():
        settings.setdefault("PerSourcePenalties", "no")
    (directory / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    # The account reads its own keys; the directory of the test is not for everybody.
    for path in (home, home / ".ssh", home / ".ssh" / "authorized_keys"):
        os.chown(path, UID, UID)


def _penalties() -> bool:
    """Say whether this sshd makes those wait who fail, as OpenSSH 9.8 and newer ones do."""
    command = [commands.find("sshd") or "sshd", "-T", "-o", "PerSourcePenalties=no"]
    return "unsupported" not in subprocess.run(command, capture_output=True, text=True, check=False).stderr.lower()


def _wait(process: subprocess.Popen[bytes], port: int, directory: pathlib.Path) -> None:
    end = time.monotonic() + waiting.SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    said = [(directory / name).read_text() for name in ("sshd.out", "rsyslog.out") if (directory / name).exists()]
    raise AssertionError(f"{shlex.join(t.cast('list[str]', process.args)[:5])} did not start sshd: {' '.join(said)}")
