# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit log as a busy server's auditd writes it: enriched, the same for the same seed.

Builds, cron jobs, package tools, administration by ssh and Ansible: mostly programs that are started, with as many
distinct command lines as a machine has that compiles and serves (file names, numbers and dates in them), files that
change, connections, and the records of sign-ins. Nothing of it is an attack.
"""

from __future__ import annotations

import os
import pathlib
import random
import typing as t

_NAMES = {0: "root", 33: "www-data", 1000: "alice", 1001: "bob", 4294967295: "unset"}
_UNSET = 4294967295

# Each form of a command line: program, arguments with fields to fill, weight.
_COMMANDS: tuple[tuple[str, str, int], ...] = (
    ("/usr/bin/gcc", "gcc -O2 -g -Wall -I/usr/include/{word} -c src/{word}_{number}.c -o build/{word}_{number}.o", 14),
    (
        "/usr/libexec/gcc/x86_64-linux-gnu/14/cc1",
        (
            "/usr/libexec/gcc/x86_64-linux-gnu/14/cc1 -quiet -imultiarch "
            "x86_64-linux-gnu src/{word}_{number}.c -quiet -dumpbase {word}_{number}.c -O2 -o /tmp/cc{hash}.s"
        ),
        12,
    ),
    ("/usr/bin/as", "as --64 -o build/{word}_{number}.o /tmp/cc{hash}.s", 10),
    ("/usr/bin/rm", "rm -f build/{word}_{number}.d", 5),
    ("/usr/bin/sed", "sed -e s/@{word}@/{number}/g -i config/{word}.conf", 4),
    ("/usr/bin/grep", "grep -q ^{word}: /etc/group", 5),
    ("/usr/bin/stat", "stat --format=%Y /srv/{word}/current", 4),
    ("/usr/bin/date", "date +%s", 6),
    ("/usr/bin/sleep", "sleep 5", 5),
    ("/usr/bin/cat", "cat /proc/loadavg", 5),
    ("/usr/bin/ls", "ls -l /srv/{word}", 3),
    ("/usr/bin/cut", "cut -d: -f1", 4),
    ("/usr/bin/tr", "tr a-z A-Z", 3),
    ("/usr/bin/id", "id -u", 3),
    ("/usr/bin/dash", "/bin/sh -c cd / && run-parts --report /etc/cron.hourly", 3),
    ("/usr/bin/dash", "sh -c test -e /run/{word}.pid && kill -0 {number}", 3),
    ("/usr/bin/bash", "bash -c systemctl is-active {word}.service", 2),
    (
        "/usr/bin/python3.13",
        "/usr/bin/python3 /home/alice/.ansible/tmp/ansible-tmp-{number}/AnsiballZ_{word}.py",
        4,
    ),
    ("/usr/bin/git", "git -C /srv/{word} rev-parse --short HEAD", 3),
    ("/usr/bin/dpkg-query", "dpkg-query --show --showformat=${{Version}} lib{word}{number}", 3),
    ("/usr/bin/curl", "curl -fsS http://127.0.0.1:8080/health?{number}", 2),
    ("/usr/bin/find", "find /var/cache/{word} -type f -mtime +{day} -name *.tmp", 2),
    ("/usr/bin/tar", "tar -czf /backup/{word}-2026{day:02}.tar.gz -C /srv {word}", 1),
    ("/usr/bin/rsync", "rsync -a --delete /srv/{word}/ backup@10.0.0.{day}:/backup/{word}/", 1),
)
_NOUNS = """
    alpha api auth backup billing blog build cache cart catalog chart client cluster config core cron data db
    deploy docs edge event export feed file forum front gateway graph grid host image import index job kernel
    ledger link list log mail map media menu meter mirror model net node note order page parse pay pipe plan
    pool proxy query queue rank relay render report role route rule sale search send shop site socket store sync
    table task test theme token trace track tree user vault view wiki work zone
"""
_WORDS = _NOUNS.split()
# Services that change files and connect: pid, comm, exe, auid, uid, session, terminal.
_SERVICES = (
    (900, "nginx", "/usr/sbin/nginx", _UNSET, 33, _UNSET, "(none)"),
    (901, "postgres", "/usr/lib/postgresql/17/bin/postgres", _UNSET, 33, _UNSET, "(none)"),
    (902, "chronyd", "/usr/sbin/chronyd", _UNSET, 0, _UNSET, "(none)"),
    (903, "dpkg", "/usr/bin/dpkg", 1000, 0, 3, "pts0"),
    (904, "puppet", "/usr/bin/ruby3.3", _UNSET, 0, _UNSET, "(none)"),
)

_TAIL = (
    '\x1dARCH=x86_64 SYSCALL={name} AUID="{auid_name}" UID="{uid_name}" GID="{uid_name}" EUID="{uid_name}" '
    'SUID="{uid_name}" FSUID="{uid_name}" EGID="{uid_name}" SGID="{uid_name}" FSGID="{uid_name}"'
)
_CAPS = 'cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0\x1dOUID="root" OGID="root"'


class Figures(t.NamedTuple):
    """What was written."""

    records: int
    events: int
    commands: int
    bytes: int


class _Log:
    def __init__(self, stream: t.TextIO, seed: int, is_own: bool = False) -> None:
        """is_own: whether it is to be a log of this machine."""
        self.is_own = is_own
        self.random = random.Random(seed)  # noqa: S311 - the same log for the same seed
        self.records = self.events = self.size = 0
        self.commands: set[str] = set()
        self._stream = stream
        self._time = 1_780_000_000_000
        self._pid = 2_000
        # Shells and services that start the others: pid, comm, exe, auid, uid, ses, tty.
        self._parents = [
            (1, "systemd", "/usr/lib/systemd/systemd", _UNSET, 0, _UNSET, "(none)"),
            (801, "cron", "/usr/sbin/cron", _UNSET, 0, _UNSET, "(none)"),
        ]

    def event(self, *records: tuple[str, str]) -> None:
        self._time += self.random.randrange(1, 400)
        self.events += 1
        stamp = f"msg=audit({self._time // 1000}.{self._time % 1000:03}:{self.events})"
        text = "".join(f"type={kind} {stamp}: {body}\n" for kind, body in records)
        self._stream.write(text)
        self.size += len(text.encode())
        self.records += len(records)

    def syscall(
        self,
        number: int,
        name: str,
        pid: int,
        who: tuple[t.Any, ...],
        comm: str,
        exe: str,
        key: str,
        items: int,
        success: str = "yes",
        code: int = 0,
        arguments: t.Sequence[str] = ("", "", ""),
    ) -> tuple[str, str]:
        parent, _comm, _exe, auid, uid, ses, tty = who
        # Addresses, but for those that are none.
        a = [known or f"{self.random.randrange(1 << 44, 1 << 46):x}" for known in arguments]
        return "SYSCALL", (
            f"arch=c000003e syscall={number} success={success} exit={code} a0={a[0]} a1={a[1]} a2={a[2]} "
            f"a3=8 items={items} ppid={parent} pid={pid} auid={auid} uid={uid} gid={uid} euid={uid} suid={uid} "
            f'fsuid={uid} egid={uid} sgid={uid} fsgid={uid} tty={tty} ses={ses} comm="{comm}" exe="{exe}" '
            f'key="{key}"' + _TAIL.format(name=name, auid_name=_NAMES[auid], uid_name=_NAMES[uid])
        )

    def execute(self) -> None:
        who = self.random.choice(self._parents)
        exe, form = self.random.choices([(p, f) for p, f, _w in _COMMANDS], [w for _p, _f, w in _COMMANDS])[0]
        line = form.format(
            word=self.random.choice(_WORDS),
            number=self.random.randrange(1, 150),
            hash=f"{self.random.randrange(1 << 8):07x}",
            day=self.random.randrange(1, 29),
        )
        if " -c " in line and exe.endswith("sh"):
            words = [*line.split(" -c ")[0].split(), "-c", line.split(" -c ", 1)[1]]
        else:
            words = line.split(" ")
        self.commands.add(line)
        pid = self._next_pid()
        comm = exe.rsplit("/", 1)[1][:15]
        directory = "/srv/" + self.random.choice(_WORDS[:6])
        arguments = " ".join(f"a{i}={_quoted(word)}" for i, word in enumerate(words))
        self.event(
            self.syscall(59, "execve", pid, who, comm, exe, "exec", 2),
            ("EXECVE", f"argc={len(words)} {arguments}"),
            ("CWD", f'cwd="{directory}"'),
            (
                "PATH",
                (
                    f'item=0 name="{exe}" {self._file(exe)} mode=0100755 ouid=0 ogid=0 rdev=00:00 '
                    f"nametype=NORMAL {_CAPS}"
                ),
            ),
            (
                "PATH",
                (
                    f'item=1 name="/lib64/ld-linux-x86-64.so.2" inode=293559 dev=fe:00 mode=0100755 ouid=0 ogid=0 '
                    f"rdev=00:00 nametype=NORMAL {_CAPS}"
                ),
            ),
            ("PROCTITLE", "proctitle=" + "\0".join(words).encode()[:128].hex().upper()),
        )
        if comm in ("dash", "bash", "gcc", "python3.13"):
            self._parents.append((pid, comm, exe, *who[3:]))
            if len(self._parents) > 40:
                self._parents.pop(self.random.randrange(2, 20))

    def _file(self, exe: str) -> str:
        """Return the inode and the device of a program: this machine's, if it is to be its log and has the program."""
        try:
            status = os.stat(exe) if self.is_own else None
        except FileNotFoundError:
            status = None
        if status is None:
            return f"inode={len(exe) * 977} dev=fe:00"
        return f"inode={status.st_ino} dev={os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"

    def _next_pid(self) -> int:
        self._pid = self._pid + 1 if self._pid < 4_000_000 else 2_000
        return self._pid

    def change(self) -> None:
        who = self.random.choice(_SERVICES[3:])
        word, number = self.random.choice(_WORDS[:40]), self.random.randrange(1, 20)
        folder = f"/etc/{word}.d/"
        code, name, kind, arguments = self.random.choice(
            (
                (257, "openat", "CREATE", ("ffffff9c", "", "241")),
                (263, "unlinkat", "DELETE", ("ffffff9c", "", "0")),
                (90, "chmod", "NORMAL", ("", "1a4", "")),
            )
        )
        self.event(
            self.syscall(code, name, who[0], (1, *who[1:]), who[1], who[2], "config", 2, code=3, arguments=arguments),
            ("CWD", 'cwd="/"'),
            (
                "PATH",
                (
                    f'item=0 name="{folder}" inode=4711 dev=fe:00 mode=040755 ouid=0 ogid=0 rdev=00:00 '
                    f"nametype=PARENT {_CAPS}"
                ),
            ),
            (
                "PATH",
                (
                    f'item=1 name="{folder}{number}.conf" inode={90_000 + number} dev=fe:00 mode=0100644 ouid=0 '
                    f"ogid=0 rdev=00:00 nametype={kind} {_CAPS}"
                ),
            ),
            ("PROCTITLE", "proctitle=" + who[1].encode().hex().upper()),
        )

    def connect(self) -> None:
        who = self.random.choice(_SERVICES)
        address, port = f"0A0000{self.random.randrange(1, 40):02X}", self.random.choice((53, 80, 443, 5432))
        self.event(
            self.syscall(42, "connect", who[0], (1, *who[1:]), who[1], who[2], "net", 0, "no", -115, ("7", "", "10")),
            (
                "SOCKADDR",
                (
                    f"saddr=0200{port:04X}{address}0000000000000000\x1dSADDR={{ saddr_fam=inet "
                    f"laddr=10.0.0.{int(address[6:], 16)} lport={port} }}"
                ),
            ),
            ("PROCTITLE", "proctitle=" + who[1].encode().hex().upper()),
        )

    def sign_in(self) -> None:
        kind, op = self.random.choice(
            (
                ("USER_ACCT", "PAM:accounting"),
                ("CRED_ACQ", "PAM:setcred"),
                ("USER_START", "PAM:session_open"),
                ("USER_END", "PAM:session_close"),
                ("CRED_DISP", "PAM:setcred"),
            )
        )
        self.event(
            (
                kind,
                (
                    f"pid={self._next_pid()} uid=0 auid={_UNSET} ses={_UNSET} subj=unconfined msg='op={op} "
                    f'grantors=pam_unix acct="root" exe="/usr/sbin/cron" hostname=? addr=? terminal=cron '
                    f'res=success\'\x1dUID="root" AUID="unset"'
                ),
            )
        )


def _quoted(word: str) -> str:
    """Return an argument as the kernel writes it: hexadecimal where there is a blank or a quote in it."""
    if any(char in ' "' or not 0x20 < ord(char) < 0x7F for char in word):
        return word.encode().hex().upper()
    return f'"{word}"'


def write(path: pathlib.Path, records: int, seed: int = 1) -> Figures:
    """Write a log of at least so many records."""
    with path.open("w", encoding="utf-8") as stream:
        log = _Log(stream, seed)
        kinds = (log.execute, log.change, log.connect, log.sign_in)
        while log.records < records:
            log.random.choices(kinds, (62, 16, 12, 10))[0]()
    return Figures(log.records, log.events, len(log.commands), log.size)


def write_executions(path: pathlib.Path, events: int, seed: int = 1) -> Figures:
    """Write a log of so many executions on this machine and nothing else."""
    with path.open("w", encoding="utf-8") as stream:
        log = _Log(stream, seed, is_own=True)
        for _event in range(events):
            log.execute()
    return Figures(log.records, log.events, len(log.commands), log.size)
