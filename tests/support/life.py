# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays ordinary life from a text, as records of the kernel, and counts what the detections say of it.

A line that begins with ``@`` begins a sequence: who, how, and a title, separated by ``|``. Who is an account. How is
``session`` (signed in by SSH, on a terminal), ``cron``, ``unit`` (below init) or the program of a service, with
``listens`` behind it if it does. A fourth part names the alerts above informational that it raises. Each other line
is a command as a shell takes it, indented by one space below what started it; ``PROGRAM:: COMMAND`` names the program
where that is not ``/usr/bin/`` and the first word, ``PROGRAM SCRIPT:: COMMAND`` the script, too, that was executed.
``> FILE`` is a file that the command above it makes, or opens to be written. What runs below ``sudo`` is root's, and
``sudo -u NAME`` is NAME's.
"""

from __future__ import annotations

import pathlib
import re
import shlex
import typing as t

from tests.support.recorded import Recorder

_ACCOUNTS = {"root": 0, "alice": 1000, "deploy": 1001}
_SERVICE = 990
# Of BusyBox's applets those that the sequences name.
_WORDS = """
adduser addgroup arp arping ash awk base64 basename blkid bunzip2 bzip2 cat chattr chgrp chmod chown chpasswd cmp cp
cpio crontab cut date dd deluser delgroup df diff dirname dmesg du echo env expr fallocate fdisk find free fsck fstrim
getent grep gunzip gzip halt head hostname hwclock id ifconfig insmod install ionice iostat ip kill killall last less
ln logger losetup ls lsattr lsmod lsof md5sum mkdir mkfifo mknod mkswap mktemp modinfo modprobe more mount mountpoint
mpstat mv nc netstat nice nohup nproc nslookup ntpd passwd pgrep ping pkill printenv ps pwd readlink realpath reboot
renice rm rmdir rmmod route run-parts sed setsid sh sha256sum shred sleep sort split stat strings stty su swapoff
swapon sync sysctl tac tail tar tee test timeout top touch tr traceroute truncate tty umount uname uniq unlink unzip
uptime vi watch wc wget which who whoami xargs xxd zcat
"""
APPLETS = frozenset(_WORDS.split())
_SUDO = re.compile(r"sudo (?:-\w )*?(?:-u (\S+) )?")


class Sequence(t.NamedTuple):
    """What one account does, in lines."""

    account: str
    how: str
    title: str
    alerts: frozenset[str]
    lines: tuple[str, ...]


def load(path: pathlib.Path) -> list[Sequence]:
    """Return the sequences of a file."""
    found: list[tuple[list[str], list[str]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            found.append(([part.strip() for part in line[1:].split("|")], []))
        elif line.strip() and not line.startswith("#"):
            found[-1][1].append(line)
    return [
        Sequence(account, how, title, frozenset(" ".join(alerts).replace(",", " ").split()), tuple(lines))
        for (account, how, title, *alerts), lines in found
    ]


def play(sequences: t.Iterable[Sequence], pause: float = 20, busybox: bool = False) -> bytes:
    """Return the log of sequences that follow each other on one host.

    pause: seconds between commands. busybox: all that BusyBox can do is done by it, as on Alpine.
    """
    log = Recorder(user="root")
    for number, sequence in enumerate(sequences, 1):
        _Player(log, number, sequence, pause, busybox).play()
    return log.text()


class _Player:
    def __init__(self, log: Recorder, number: int, sequence: Sequence, pause: float, busybox: bool) -> None:
        self._log, self._number, self._sequence, self._pause = log, number, sequence, pause
        self._busybox = busybox

    def play(self) -> None:
        root = self._start()
        # Of each depth: the process, and whom it runs as.
        above: list[tuple[int, str]] = [(root, self._sequence.account)]
        for line in self._sequence.lines:
            depth = len(line) - len(line.lstrip(" "))
            assert depth < len(above), f"{self._sequence.title}: {line} is too far to the right"
            del above[depth + 1 :]
            parent, account = above[-1]
            above.append(self._line(line.strip(), parent, account, depth))

    def _start(self) -> int:
        log, (account, how, _title, _alerts, _lines) = self._log, self._sequence
        number = _number(account)
        log.sign_in(2**32 - 1, 2**32 - 1, "(none)")
        log.become("root", 0)
        if how == "session":
            server = log.execute("/usr/sbin/sshd", ["/usr/sbin/sshd", "-D"], log.init)
            log.sign_in(number, self._number, "pts0", account)
            log.become(account, number)
            return log.execute("/usr/bin/bash", ["-bash"], log.fork(server))
        if how == "cron":
            daemon = log.execute("/usr/sbin/cron", ["/usr/sbin/cron", "-f"], log.init)
            log.sign_in(number, self._number, "(none)", account)
            log.become(account, number)
            return log.fork(daemon)
        log.become(account, number)
        if how == "unit":
            return log.init
        image, _space, listens = how.partition(" ")
        server = log.execute(image, [pathlib.PurePath(image).name, "--serve"], log.init)
        if listens:
            log.bind(server, 8080)
        return server

    def _line(self, text: str, parent: int, account: str, depth: int) -> tuple[int, str]:
        log = self._log
        if depth == 0:
            log.wait(self._pause)
        log.become(account, _number(account))
        if text.startswith("> "):
            log.writes(parent, text[2:])
            return parent, account
        programs, separator, command = text.partition(":: ")
        image, _space, script = programs.partition(" ")
        arguments = shlex.split(command if separator else text)
        if not separator:
            image = arguments[0] if arguments[0].startswith("/") else f"/usr/bin/{arguments[0]}"
        if self._busybox and pathlib.PurePath(arguments[0]).name in APPLETS:
            image = "/bin/busybox"
        pid = log.execute(image, arguments, parent, script=script or None)
        sudo = _SUDO.match(text)
        if sudo:
            account = sudo.group(1) or "root"
        return pid, account


def _number(account: str) -> int:
    return _ACCOUNTS.get(account, _SERVICE)
