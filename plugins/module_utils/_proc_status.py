# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proc_pid_stat(5), proc_pid_status(5) and proc_pid_syscall(5) say."""

from __future__ import annotations

import re
import typing as t

_WANTED = re.compile(
    rb"^(Tgid|TracerPid|Uid|Gid|NSpid|VmRSS|SigCgt|Cap(?:Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):\t(.*)$", re.MULTILINE
)
_NUMBER = re.compile(rb"-?\d{1,20}\Z")
# Those that are made use of. Each process's is read seven times in a scan.
_STAT_WORDS = (1, 3, 6, 17, 19, 23, 25, 44)
_SET = re.compile(rb"[0-9a-f]{1,32}\Z")
# The number of a system call with its six arguments, or -1 for none; then the stack pointer and the next instruction.
_WAITING = re.compile(rb"(?:-1|\d{1,10}(?: 0x[0-9a-f]{1,16}){6}) 0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16})\n?\Z")


class Capabilities(t.NamedTuple):
    """Sets of bits as capabilities(7) numbers them."""

    effective: int
    permitted: int
    inheritable: int
    bounding: int
    ambient: int


class Stat(t.NamedTuple):
    """Fields of the stat file by what the manual calls them: comm, state, ppid, session, flags, num_threads, starttime.

    image: where its program, its stack and its heap begin, different after each exec(3) as a rule; all 0 for who may
    not know.
    """

    name: bytes
    state: str
    parent: int
    session: int
    flags: int
    threads: int
    started: int
    image: tuple[int, int, int]


class Status(t.NamedTuple):
    """Fields of the status file. resident: in bytes. pids: NSpid, as seen from here first. caught: SigCgt."""

    leader: int
    tracer: int
    users: tuple[int, int, int, int]
    groups: tuple[int, int, int, int]
    pids: tuple[int, ...]
    resident: int
    capabilities: Capabilities
    no_new_privileges: bool
    seccomp: int
    caught: int


def parse_stat(text: bytes) -> Stat | None:
    """Return what a stat file says; None where it is none.

    The name stands in parentheses as the program chose it, with any character: it ends at the last one that closes.
    """
    name_start, name_end = text.find(b" ("), text.rfind(b") ")
    if name_start < 0 or name_end < name_start + 2:
        return None
    words = text[name_end + 2 :].split()
    # Up to start_brk, number 47, as of Linux 3.3; the state is number 3.
    if len(words) < 45 or not words[0].isalpha() or not all(map(_NUMBER.match, map(words.__getitem__, _STAT_WORDS))):
        return None
    return Stat(
        text[name_start + 2 : name_end],
        words[0].decode("ascii"),
        int(words[1]),
        int(words[3]),
        int(words[6]),
        int(words[17]),
        int(words[19]),
        (int(words[23]), int(words[25]), int(words[44])),
    )


def parse_status(text: bytes) -> Status | None:
    """Return what a status file says; None where it is none, or is cut.

    Its name is escaped there, so no line is of the program's making. What older kernels don't say is 0.
    """
    fields: dict[bytes, bytes] = dict(_WANTED.findall(text))
    users, groups = _four(fields.get(b"Uid")), _four(fields.get(b"Gid"))
    sets = [fields.get(b"Cap" + name, b"") for name in (b"Eff", b"Prm", b"Inh", b"Bnd")]
    ambient, caught = fields.get(b"CapAmb", b"0"), fields.get(b"SigCgt", b"0")
    if users is None or groups is None or not all(map(_SET.match, [*sets, ambient, caught])):
        return None
    return Status(
        _number(fields.get(b"Tgid")),
        _number(fields.get(b"TracerPid")),
        users,
        groups,
        tuple(int(word) for word in fields.get(b"NSpid", b"").split() if _NUMBER.match(word)),
        _number(fields.get(b"VmRSS", b"").strip().partition(b" ")[0]) * 1024,
        Capabilities(*(int(word, 16) for word in [*sets, ambient])),
        _number(fields.get(b"NoNewPrivs")) == 1,
        _number(fields.get(b"Seccomp")),
        int(caught, 16),
    )


def parse_syscall(text: bytes) -> tuple[int, int] | None:
    """Return the stack pointer and the address of the next instruction; None of a thread that is running."""
    found = _WAITING.match(text)
    return None if found is None else (int(found.group(1), 16), int(found.group(2), 16))


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and _NUMBER.match(text) else 0


def _four(text: bytes | None) -> tuple[int, int, int, int] | None:
    words = (text or b"").split()
    if len(words) != 4 or not all(map(_NUMBER.match, words)):
        return None
    return int(words[0]), int(words[1]), int(words[2]), int(words[3])
