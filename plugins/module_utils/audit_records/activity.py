# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event of a system call, decoded as far as somebody asks."""

from __future__ import annotations

import functools
import posixpath
import pwd
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import architectures, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import MOST_EVENT_BYTES, Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

# The line of a SYSCALL record, as linux/kernel/auditsc.c writes it: audit_log_exit().
SYSCALL = re.compile(
    rb"type=SYSCALL msg=\S+ +arch=(\w+) syscall=(\d{1,10})(?: per=\w+)?(?: success=(\w+) exit=(-?\w+))?"
    rb" a0=(\w+) a1=(\w+) a2=(\w+) a3=(\w+) items=\d+(?: ppid=(\d+))? pid=(\d+)"
    # What it can be is before what it may be: to look for an end at each character takes longer than all the rest.
    rb" (auid=(\d+) uid=(\d+)(?:(?: [a-z]+id=\d+)*|[^\"\n]*?))"
    # A quote that is not closed is a line that was cut off.
    rb"(?: tty=(\S+))?(?: ses=(\d+))? comm=(\"[^\"\n]*\"|[^\s\"]\S*) exe=(\"[^\"\n]*\"|[^\s\"]\S*)"
    rb"(?: subj=([^\s\x1d]+(?= key=)|[^\x1d\n]+?))?"
    # Where a log was copied as text, what separates the enriched fields may have got lost, or another character.
    rb"(?: key=(\"[^\"\n]*\"|\(null\)|[^\x1d\n]*?))?(?=\x1d|\n|(?: |#035)?ARCH=)"
)
(ARCH, NUMBER, SUCCESS, EXIT, A0, A1, A2, A3, PPID, PID, IDS, AUID, UID, TTY, SES, COMM, EXE, SUBJ, KEY) = range(19)

EXECVE = re.compile(rb"\n(?:node=\S+ )?type=EXECVE msg=\S+ +([^\n]*)")
_CWD = re.compile(rb"\n(?:node=\S+ )?type=CWD msg=\S+ +cwd=(\"[^\"\n]*\"|[^\s\x1d]+)")
PATH = re.compile(
    rb"\n(?:node=\S+ )?type=PATH msg=\S+ +item=(\d{1,9}) name=(\"[^\"\n]*\"|[^\s\x1d]+)"
    rb"(?: inode=\d+ dev=\S+ mode=(\w+) ouid=(\d+) ogid=\d+ rdev=\S+)?(?:(?: obj=[^\n\x1d]*?)? (?:name|obj)type=(\w+))?"
)
_SOCKADDR = re.compile(rb"\n(?:node=\S+ )?type=SOCKADDR msg=\S+ +saddr=([0-9A-F]+)")
_TITLE = re.compile(rb"\n(?:node=\S+ )?type=PROCTITLE msg=\S+ +proctitle=(\"[^\"\n]*\"|[^\s\x1d]+)")
_CONTAINER = re.compile(rb"\n(?:node=\S+ )?type=CONTAINER_ID msg=\S+ [^\n]*?contid=(\S+)")
_ID = re.compile(rb"(\w+)=(\d+)")

# Of a command line: all that an event may have. What is left out hides what it is for, as many programs do what their
# last arguments say, and a shell ignores any number of blanks.
_MOST_ARGUMENTS = MOST_EVENT_BYTES


_T = t.TypeVar("_T")


class once(t.Generic[_T]):  # noqa: N801 - it is used as property is
    """A property that is found out when it is asked for first; without the lock that Python's own had until 3.12."""

    def __init__(self, find: t.Callable[[t.Any], _T]) -> None:
        self._find = find
        self._name = find.__name__
        self.__doc__ = find.__doc__

    def __get__(self, instance: t.Any, _owner: t.Any = None) -> _T:
        value = instance.__dict__[self._name] = self._find(instance)
        return value


class PathItem(t.NamedTuple):
    """A PATH record. name: as it was given to the kernel, "" where there is none."""

    item: int
    name: str
    mode: str
    owner: str
    kind: str


@functools.lru_cache(maxsize=4096)
def syscall_name(architecture: bytes, number: bytes) -> str:
    """Return the name of a system call, or its number where it isn't known."""
    return architectures.call_name(architecture, number) or number.decode("ascii")


def architecture_name(architecture: bytes) -> str:
    return architectures.name_of(architecture)


@functools.lru_cache(maxsize=4096)
def user_name(number: bytes) -> str:
    """Return an account's name, as this host knows it now, or its number."""
    if number in (b"4294967295", b"-1"):
        return "unset"
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (KeyError, OverflowError, ValueError):
        return number.decode("ascii", "replace")


@functools.lru_cache(maxsize=4096)
def _enriched(kind: str, names: bytes) -> str:
    """Return the name of the account with a kind of id, from what the daemon added to a record; "" where it did not."""
    found = re.search(rb"\b" + kind.upper().encode() + rb'="([^"\n]*)"', names)
    return decode.text(found.group(1)) if found else ""


class Activity:
    """What a process did. parts: the groups of ``SYSCALL``. parent: who it is, as far as the log tells."""

    __slots__ = ("__dict__", "event", "parent", "parts", "process")

    def __init__(
        self, event: Event, parts: t.Sequence[bytes | None], process: Process | None, parent: Process | None
    ) -> None:
        self.event = event
        self.parts = parts
        self.process = process
        self.parent = parent

    def part(self, number: int) -> str:
        return decode.text(self.parts[number] or b"")

    @once
    def syscall(self) -> str:
        return syscall_name(self.parts[ARCH] or b"", self.parts[NUMBER] or b"0")

    @once
    def success(self) -> str:
        return self.part(SUCCESS)

    @once
    def exe(self) -> str:
        return known_text(self.parts[EXE] or b"")

    @once
    def comm(self) -> str:
        return known_text(self.parts[COMM] or b"")

    @once
    def keys(self) -> tuple[str, ...]:
        """The keys of the rules that made the event; several are separated by a byte 1."""
        key = known_text(self.parts[KEY] or b"")
        return tuple(key.split("\x01")) if key else ()

    @once
    def ids(self) -> dict[str, bytes]:
        """auid, uid, gid, euid and so on, as numbers."""
        return {name.decode("ascii"): number for name, number in _ID.findall(self.parts[IDS] or b"")}

    def user(self, kind: str) -> str:
        """Return the name of the account with a kind of id: as the log has it where it is enriched."""
        return _enriched(kind, self._line.partition(b"\x1d")[2]) or user_name(self.ids.get(kind, b""))

    @once
    def _line(self) -> bytes:
        start = self.event.raw.find(b"type=SYSCALL ")
        return self.event.raw[start : self.event.raw.find(b"\n", start)]

    @once
    def argv(self) -> tuple[str, ...]:
        """The arguments of what was executed; of another event those of the process, as far as they are known."""
        bodies = EXECVE.findall(self.event.raw)
        if bodies:
            return decode.arguments(bodies, _MOST_ARGUMENTS)
        if self.process is not None:
            return process_arguments(self.process)
        return self.title

    @once
    def title(self) -> tuple[str, ...]:
        found = _TITLE.search(self.event.raw)
        return tuple(decode.title_arguments(found.group(1))) if found else ()

    @once
    def command_line(self) -> str:
        return " ".join(self.argv)

    @once
    def cwd(self) -> str:
        return directory_in(self.event.raw)

    @once
    def paths(self) -> tuple[PathItem, ...]:
        return tuple(
            PathItem(int(item), known_text(name), decode.text(mode), decode.text(owner), decode.text(kind))
            for item, name, mode, owner, kind in PATH.findall(self.event.raw)
        )

    def resolved(self, name: str) -> str:
        """Return a name in a PATH record as an absolute path."""
        if not name or name.startswith("/"):
            return name
        return posixpath.normpath(posixpath.join(self.cwd or "/", name))

    @once
    def address(self) -> dict[str, str]:
        found = _SOCKADDR.search(self.event.raw)
        return decode.address(found.group(1)) if found else {}

    def beside(self, kind: str, field: str) -> str:
        """Return a field of the first record of a kind that seldom comes with a call."""
        for found, body in self.event.records():
            if found == kind.encode():
                return decode.body_fields(body).get(field, "")
        return ""

    def every(self, kind: str, field: str) -> str | tuple[str, ...]:
        """Return a field of all records of a kind that seldom comes with a call: a text where there is one at most."""
        values = tuple(
            decode.body_fields(body).get(field, "") for found, body in self.event.records() if found == kind.encode()
        )
        return values if len(values) > 1 else "".join(values)

    @once
    def container(self) -> str:
        found = _CONTAINER.search(self.event.raw)
        return (
            "" if found is None or found.group(1) in (b"-1", b"18446744073709551615") else decode.text(found.group(1))
        )


def known_text(raw: bytes) -> str:
    return decode.text(decode.unquoted(raw))


def activity_of(event: Event, process: Process | None, parent: Process | None) -> Activity:
    """Return what a process did in an event of a system call."""
    found = SYSCALL.search(event.raw)
    if found is None:
        raise ValueError("an event of a system call has no record of it")
    return Activity(event, found.groups(), process, parent)


def process_arguments(process: Process) -> tuple[str, ...]:
    """Return the arguments of a process in the table."""
    return _few_arguments(process.arguments)


def arguments_of(raw: bytes) -> tuple[str, ...]:
    """Return the arguments in an EXECVE record that has all of them, or else those in a PROCTITLE record."""
    if raw.startswith(b"argc="):
        return decode.arguments([raw], _MOST_ARGUMENTS)
    return tuple(decode.title_arguments(raw))


def line_of(raw: bytes) -> str:
    """Return the same as ``arguments_of`` as one command line."""
    return decode.text(b" ".join(raw_arguments(raw)))


# Of a new command they are asked for again at once.
@functools.lru_cache(maxsize=8)
def raw_arguments(raw: bytes) -> t.Sequence[bytes]:
    """Return the same as ``arguments_of``, in UTF-8."""
    # The kernel writes no zero in quotes; in a log that was forged, it ends an argument.
    quoted = decode.quoted_arguments(raw) if b"\0" not in raw else None
    return quoted or [text.encode("utf-8", "surrogateescape") for text in arguments_of(raw)]


def is_under_own_name(arguments: bytes, exe: bytes) -> bool:
    """Return whether a program's first argument is its own name for sure. Both as they are in the log.

    Then ``CalledAs`` of ``views`` has no value.
    """
    argument = arguments.find(b' a0="')
    if argument < 0 or not arguments[len(b"argc=") : argument].isdigit():
        return False
    first = arguments[argument + 5 : arguments.find(b'"', argument + 5)]
    name = first[first.rfind(b"/") + 1 :]
    return name[name.startswith(b"-") :] == exe[exe.rfind(b"/") + 1 : -1] and len(first.split()) == 1


# Few processes are the parents of most.
_few_arguments = functools.lru_cache(maxsize=512)(arguments_of)


def process_original(process: Process) -> str:
    """Return what was executed: of a script not the interpreter."""
    return known_text(process.original)


def directory_in(raw: bytes) -> str:
    """Return the directory that an event's process was in, empty where the event has none."""
    found = _CWD.search(raw)
    return known_text(found.group(1)) if found else ""


def process_image(process: Process) -> str:
    return known_text(process.exe)
