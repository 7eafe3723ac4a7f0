# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit records as the kernel writes them, for logs of processes that a test says."""

from __future__ import annotations

import typing as t

_UNSET = 4294967295
_CALLS = {"execve": 59, "bind": 49, "openat": 257}
_IDS = ("uid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid")


class Recorder:
    """Writes what processes of one account do; times go on by a hundredth of a second with each event."""

    init = 1

    began = 1_780_000_000.0

    def __init__(self, user: str = "app", tty: str = "(none)") -> None:
        """Nobody signed in until ``sign_in``."""
        self._user = user
        self._uid = 0 if user == "root" else 990
        self._signed_in = self._session = _UNSET
        self._signed_in_name = "unset"
        self._tty = tty
        self._serial = 0
        self._time = self.began
        self._next = 3_000
        self._parents: dict[int, int] = {}
        self._images: dict[int, str] = {}
        self._lines: list[str] = []

    def text(self) -> bytes:
        return "".join(self._lines).encode()

    def wait(self, seconds: float) -> None:
        self._time += seconds

    def become(self, user: str, number: int) -> None:
        """Let all that follows be done by another account, as after sudo."""
        self._user, self._uid = user, number

    def sign_in(self, account: int, session: int, tty: str, name: str = "unset") -> None:
        """Let all that follows be of a session; name: of the account, as the daemon writes it."""
        self._signed_in_name = name
        self._signed_in, self._session, self._tty = account, session, tty

    def fork(self, parent: int) -> int:
        """Return a new process, of which there is no record."""
        self._next += 1
        self._parents[self._next] = parent
        self._images[self._next] = self._images.get(parent, "/usr/lib/systemd/systemd")
        return self._next

    def execute(
        self, image: str, argv: t.Sequence[str], parent: int, pid: int | None = None, script: str | None = None
    ) -> int:
        """Write that a program was executed, by a new process or another one; script: what was, if that is a script."""
        pid = self.fork(parent) if pid is None else pid
        self._images[pid] = image
        arguments = " ".join(f"a{place}={_value(word)}" for place, word in enumerate(argv))
        self._write(
            pid,
            "execve",
            f"type=EXECVE msg=STAMP argc={len(argv)} {arguments}",
            'type=CWD msg=STAMP cwd="/srv/app"',
            f"type=PATH msg=STAMP item=0 name={_value(script or image)} inode=4711 dev=fe:00 mode=0100755 ouid=0 "
            "ogid=0 rdev=00:00 nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0",
        )
        return pid

    def bind(self, pid: int, port: int) -> None:
        address = f"0200{port:04X}00000000" + "0" * 16
        self._write(pid, "bind", f"type=SOCKADDR msg=STAMP saddr={address}")

    def opens(self, pid: int) -> None:
        """Write that a process opened a file, which a rule of no detection watches."""
        self._write(
            pid,
            "openat",
            'type=CWD msg=STAMP cwd="/"',
            'type=PATH msg=STAMP item=0 name="/srv/app/data" inode=4712 dev=fe:00 mode=0100644 ouid=0 ogid=0 '
            "rdev=00:00 nametype=NORMAL",
        )

    def writes(self, pid: int, path: str) -> None:
        """Write that a process made a file, or opened it to be emptied and written."""
        self._write(
            pid,
            "openat",
            'type=CWD msg=STAMP cwd="/"',
            f"type=PATH msg=STAMP item=0 name={_value(path)} inode=4713 dev=fe:00 mode=0100644 ouid={self._uid} "
            f"ogid={self._uid} rdev=00:00 nametype=CREATE",
            arguments="a0=ffffff9c a1=7f a2=241 a3=1b6",
        )

    def _write(self, pid: int, call: str, *records: str, arguments: str = "a0=5 a1=7f a2=10 a3=0") -> None:
        self._serial += 1
        self._time += 0.01
        stamp = f"audit({self._time:.3f}:{self._serial}):"
        uid, image = self._uid, self._images.get(pid, "/usr/bin/unknown")
        comm = _value(image.rpartition("/")[2][:15])
        ids = " ".join(f"{name}={uid}" for name in _IDS)
        process = f"ppid={self._parents.get(pid, 1)} pid={pid} auid={self._signed_in} {ids} tty={self._tty}"
        more = f'ses={self._session} comm={comm} exe={_value(image)} subj=unconfined key="bulwark-exec"'
        names = f'\x1dARCH=x86_64 SYSCALL={call} AUID="{self._signed_in_name}" UID="{self._user}" EUID="{self._user}"'
        done = f"arch=c000003e syscall={_CALLS[call]} success=yes exit=0 {arguments} items=1"
        lines = [
            f"type=SYSCALL msg=STAMP {done} {process} {more}{names}",
            *records,
            f"type=PROCTITLE msg=STAMP proctitle={comm}",
        ]
        self._lines += [line.replace("STAMP", stamp, 1) + "\n" for line in lines]


def _value(text: str) -> str:
    """Return a text as the kernel writes one that it does not trust."""
    if any(not 0x21 <= ord(letter) <= 0x7E or letter == '"' for letter in text):
        return text.encode().hex().upper()
    return f'"{text}"'
