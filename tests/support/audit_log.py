# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit records as the kernel and sshd write them, for logs in which something happened."""

from __future__ import annotations

import ipaddress
import pathlib
import typing as t

UNSET = 4294967295


class Who(t.NamedTuple):
    """A process that acts."""

    pid: int
    ppid: int
    exe: str
    ses: int = UNSET
    auid: int = UNSET
    uid: int = 0


class Log:
    """Writes events one after the other. time: of the first one, in seconds since the epoch."""

    def __init__(self, time: float) -> None:
        self.time = time
        self.lines: list[str] = []
        self._serial = 100

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def execute(self, who: Who, *arguments: str, script: str = "", cwd: str = "/") -> None:
        words = " ".join(f"a{number}={_quoted(word)}" for number, word in enumerate(arguments))
        paths = [script, who.exe] if script else [who.exe]
        self._event(
            _call(who, 59, 0, len(paths)),
            f"EXECVE argc={len(arguments)} {words}",
            f'CWD cwd="{cwd}"',
            *(_path(number, path, "NORMAL") for number, path in enumerate(paths)),
            f"PROCTITLE proctitle={_hex(chr(0).join(arguments))}",
        )

    def write(self, who: Who, path: str, cwd: str = "/") -> None:
        """Make a file with openat(2)."""
        self._event(
            _call(who, 257, 3, 2, a2="241"),
            f'CWD cwd="{cwd}"',
            _path(0, path.rpartition("/")[0] + "/", "PARENT"),
            _path(1, path, "CREATE"),
            f"PROCTITLE proctitle={_hex(who.exe)}",
        )

    def read(self, who: Who, path: str) -> None:
        self._event(
            _call(who, 257, 3, 1, a2="0"),
            'CWD cwd="/"',
            _path(0, path, "NORMAL"),
            f"PROCTITLE proctitle={_hex(who.exe)}",
        )

    def connect(self, who: Who, address: str, port: int, *, accepts: bool = False) -> None:
        number, code = (288, 4) if accepts else (42, -115)
        raw = ipaddress.ip_address(address).packed.hex().upper()
        self._event(
            _call(who, number, code, 0),
            f"SOCKADDR saddr=0200{port:04X}{raw}0000000000000000",
            f"PROCTITLE proctitle={_hex(who.exe)}",
        )

    def sign_in(self, pid: int, ses: int, auid: int, address: str, result: str = "success") -> None:
        """Write what sshd writes after a sign-in."""
        self._event(
            f"USER_LOGIN pid={pid} uid=0 auid={auid} ses={ses} subj=unconfined msg='op=login id={auid} "
            f'exe="/usr/sbin/sshd" hostname={address} addr={address} terminal=/dev/pts/0 res={result}\''
        )

    def text(self) -> str:
        return "".join(self.lines)

    def save(self, path: pathlib.Path) -> pathlib.Path:
        path.write_text(self.text())
        return path

    def _event(self, *records: str) -> None:
        self._serial += 1
        whole, part = divmod(round(self.time * 1000), 1000)
        for record in records:
            kind, _blank, body = record.partition(" ")
            self.lines.append(f"type={kind} msg=audit({whole}.{part:03}:{self._serial}): {body}\n")
        self.time += 0.05


def _call(who: Who, number: int, code: int, items: int, a2: str = "0") -> str:
    success = "yes" if code >= 0 else "no"
    name = who.exe.rpartition("/")[2][:15]
    return (
        f"SYSCALL arch=c000003e syscall={number} success={success} exit={code} a0=ffffff9c a1=7ffd0 a2={a2} a3=0 "
        f"items={items} ppid={who.ppid} pid={who.pid} auid={who.auid} uid={who.uid} gid=0 euid={who.uid} "
        f"suid={who.uid} fsuid={who.uid} egid=0 sgid=0 fsgid=0 tty=(none) ses={who.ses} comm={_quoted(name)} "
        f'exe={_quoted(who.exe)} subj=unconfined key="k"'
    )


def _path(item: int, name: str, kind: str) -> str:
    return (
        f"PATH item={item} name={_quoted(name)} inode=7 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 "
        f"nametype={kind} cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
    )


def _quoted(text: str) -> str:
    """Return a value as audit_log_untrustedstring() writes it."""
    if any(char in ' "' or not 0x20 < ord(char) < 0x7F for char in text):
        return _hex(text)
    return f'"{text}"'


def _hex(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").hex().upper()
