# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a simulation does to what has to be made and started for it on this host. Nothing is touched here."""

from __future__ import annotations

import ipaddress
import posixpath
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import program
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.calls import HARMLESS
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import (
    MARK,
    ProgramCall,
    ProgramRun,
    Scenario,
)

# openat(2) and its relatives, as x86-64 and A64 number them alike.
_HERE = -100
_WRITE, _CREATE, _EXCLUSIVE, _APPEND = 0o1, 0o100, 0o200, 0o2000
_NO_REPLACE = 1
_NO_DESCRIPTOR = -1
# mmap(2): MAP_PRIVATE, MAP_ANONYMOUS and MAP_FIXED_NOREPLACE, at an address that nothing else has in these programs.
_READ_WRITE_EXECUTE, _PRIVATE_ANONYMOUS_THERE, _MADE_AT = 7, 0x100022, 0x10000000
_FUNCTIONS = 64
# struct timespec.
_TIME = struct.Struct("=qq")
_INTERNET, _INTERNET_6, _STREAM, _DATAGRAM = 2, 10, 1, 2


class SkippedError(Exception):
    """This host lacks something that the simulation needs; the message says what."""


class Names(t.NamedTuple):
    """What makes one simulation recognisable in what is seen of it.

    workspace: a directory that it has alone. account: of nobody. address: of a network for documentation (RFC 5737).
    person: the user id that signed in, of nobody, so that what several simulations do isn't one person's.
    """

    workspace: str
    account: str
    address: str
    person: int

    @property
    def mark(self) -> str:
        """The name of the directory that it has, also in another place than the workspace."""
        return posixpath.basename(self.workspace)

    def _texts(self, number: int) -> t.Iterator[tuple[str, str]]:
        yield from (("workspace", self.workspace), ("account", self.account), ("address", self.address))
        yield from (("mark", self.mark), ("number", str(number)))

    def fill(self, text: str, number: int = 0) -> str:
        """Put in what stands for these in content."""
        for name, value in self._texts(number):
            text = text.replace("{%s}" % name, value)
        return text


class File(t.NamedTuple):
    """A file that is made: a program with its content, or one that a program makes, where content is that."""

    path: str
    content: bytes
    executable: bool


class Started(t.NamedTuple):
    """A program to start. user: the account's name, None for the module's own. person: who signed in for it.

    content: of one that runs from memory, and then is called what ``path`` says. stays: it is not waited for.
    """

    path: bytes
    arguments: tuple[bytes, ...]
    directory: str
    user: str | None
    person: int
    content: bytes | None = None
    stays: bool = False


class Sent(t.NamedTuple):
    """A record to send to the kernel's audit system. person: who signed in for it."""

    type: str
    text: str
    person: int


class Visited(t.NamedTuple):
    """A connection that comes in. cable: what its ends are named after. source: where it comes from.

    visited: what is visited, as the hooks of capabilities name it.
    """

    cable: str
    source: str
    protocol: str
    port: int
    visited: str


class Plan(t.NamedTuple):
    """What one simulation needs. directories and files: made by the module. traces: left by the programs.

    linked: names that links are made under, and what each leads to. opened: files of the host that are opened, and
    made, empty, where they may be and are missing.
    """

    directories: tuple[str, ...]
    files: tuple[File, ...]
    traces: tuple[File, ...]
    linked: t.Mapping[str, str]
    opened: t.Mapping[str, bool]
    steps: tuple[Started | Sent | Visited, ...]

    @property
    def stays(self) -> bool:
        """Say whether programs are still there when all is done."""
        return any(isinstance(step, Started) and step.stays for step in self.steps)

    @property
    def cables(self) -> list[str]:
        return [step.cable for step in self.steps if isinstance(step, Visited)]

    @property
    def visitors(self) -> list[str]:
        return [step.source for step in self.steps if isinstance(step, Visited)]


def _nothing(name: str, _source: str) -> tuple[str, str, int]:
    raise SkippedError("the host has no %s" % name)


class Host(t.NamedTuple):
    """What of the host matters to a plan.

    find_visit: takes what is visited and an address of nobody; returns who comes, protocol and port, or raises
    SkippedError.
    """

    find_program: t.Callable[[str], str | None]
    has_account: t.Callable[[str], bool]
    has_path: t.Callable[[str], bool]
    machine: str
    find_visit: t.Callable[[str, str], tuple[str, str, int]] = _nothing


def plan(scenario: Scenario, names: Names, host: Host) -> Plan:
    """Return what to make and to do; raise SkippedError where this host lacks something."""
    for path in scenario.needs:
        if not host.has_path(path):
            raise SkippedError("the host has no %s" % path)
    made = _Making(names, host)
    for run in scenario.runs:
        made.run(run)
    for record in scenario.records:
        texts = (names.fill(record.text, number) for number in range(record.times))
        made.steps += [Sent(record.type, text, names.person) for text in texts]
    for number, visited in enumerate(scenario.visits):
        made.steps.append(_visit(visited, number, names, host))
    return Plan(
        tuple(made.directories),
        tuple(made.files.values()),
        tuple(made.traces.values()),
        dict(made.linked),
        dict(made.opened),
        tuple(made.steps),
    )


def _visit(visited: str, number: int, names: Names, host: Host) -> Visited:
    if host.find_program("ip") is None:
        raise SkippedError("the host has no program 'ip'")
    # Names of interfaces have at most 15 characters.
    cable = "bws%s%d" % (names.mark.rpartition("-")[2][:8], number)
    return Visited(cable, *host.find_visit(visited, names.address), visited)


class _Making:
    def __init__(self, names: Names, host: Host) -> None:
        self._names, self._host = names, host
        self.directories: dict[str, None] = {}
        self.files: dict[str, File] = {}
        self.traces: dict[str, File] = {}
        self.linked: dict[str, str] = {}
        self.opened: dict[str, bool] = {}
        self.steps: list[Started | Sent | Visited] = []

    def run(self, run: ProgramRun) -> None:
        place, directory, user = self._place(run), self._names.fill(run.directory), self._user(run)
        if run.from_memory:
            self.steps += [self._from_memory(run, directory, user, number) for number in range(run.times)]
            return
        started = [self._child(run, place, number) for number in range(run.times)]
        for parent in reversed(run.under):
            path = self._program(place, parent, started, 0)
            started = [program.Start(_bytes(path), (_bytes(parent.rpartition("/")[2]),))]
        person, stays = self._names.person, bool(run.stays)
        self.steps += [Started(path, words, directory, user, person, stays=stays) for path, words in started]

    def _from_memory(self, run: ProgramRun, directory: str, user: str | None, number: int) -> Started:
        content = program.build(self._steps(run, number), self._host.machine)
        name, words = _bytes(posixpath.basename(run.name)), self._words(run, number)
        return Started(name, words, directory, user, self._names.person, content, bool(run.stays))

    def _child(self, run: ProgramRun, place: str, number: int) -> program.Start:
        if run.real:
            found = self._host.find_program(run.name)
            if found is None:
                raise SkippedError("the host has no program '%s'" % run.name)
            path = found
        else:
            path = self._program(place, run.name, self._steps(run, number), number)
        return program.Start(_bytes(path), self._words(run, number))

    def _steps(self, run: ProgramRun, number: int) -> list[program.Step]:
        numbers = range(run.repeat) if run.repeat > 1 else [number]
        steps = [step for each in numbers for call in run.calls for step in self._call(call, each)]
        if run.stays:
            steps.append(program.Call("nanosleep", (_TIME.pack(run.stays, 0), 0)))
        return steps

    def _words(self, run: ProgramRun, number: int) -> tuple[bytes, ...]:
        names = self._names
        argv0 = names.fill(run.argv0, number) if run.argv0 is not None else run.name.rpartition("/")[2]
        words = (argv0, *(names.fill(argument, number) for argument in run.arguments))
        return tuple(_bytes(word) for word in words)

    def _place(self, run: ProgramRun) -> str:
        base = self._names.workspace
        if run.place is not None:
            base = posixpath.join(run.place, self._names.mark)
            self.directories[base] = None
        return base

    def _program(self, place: str, name: str, steps: t.Sequence[program.Step], number: int) -> str:
        content = program.build(steps, self._host.machine)
        path = posixpath.join(place, name)
        # Programs of one name that do different things: each has a directory.
        while path in self.files and self.files[path].content != content:
            number += 1
            path = posixpath.join(place, str(number), name)
        above = posixpath.dirname(path)
        missing = []
        while above not in self.directories and above != self._names.workspace:
            missing.append(above)
            above = posixpath.dirname(above)
        self.directories.update(dict.fromkeys(reversed(missing)))
        self.files[path] = File(path, content, executable=True)
        return path

    def _user(self, run: ProgramRun) -> str | None:
        if not run.user:
            return None
        for name in run.user:
            if self._host.has_account(name):
                return name
        raise SkippedError("the host has no account '%s'" % "' or '".join(run.user))

    def _call(self, call: ProgramCall, number: int) -> list[program.Step]:
        fields = {
            name: self._names.fill(value, number) if isinstance(value, str) else value
            for name, value in call.fields.items()
        }
        make: t.Mapping[str, t.Callable[[t.Mapping[str, t.Any]], t.Iterator[program.Step]]] = {
            "connect": self._connect,
            "listen": self._listen,
            "create": self._create,
            "open": self._open,
            "remove": self._remove,
            "rename": self._rename,
            "link": self._link,
            "symlink": self._symlink,
            "chmod": self._chmod,
            "call": self._harmless,
            "hold": self._hold,
            "map": self._map,
        }
        return list(make[call.kind](fields))

    def _connect(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        family, address = _address(fields["address"], fields["port"])
        kind = _STREAM if fields.get("protocol") == "tcp" else _DATAGRAM
        yield program.Call("socket", (family, kind, 0), keep=True)
        yield program.Call("connect", (program.RESULT, address, len(address)))
        yield program.Call("close", (program.RESULT,))

    def _listen(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        family, address = _address(fields.get("address", "127.0.0.1"), fields["port"])
        yield program.Call("socket", (family, _STREAM, 0), keep=True)
        yield program.Call("bind", (program.RESULT, address, len(address)))
        yield program.Call("listen", (program.RESULT, 1))
        yield program.Call("close", (program.RESULT,))

    def _create(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        text = fields.get("text", "")
        content = ("# %s: harmless, and to be removed. %s\n" % (MARK, text)).encode() if text else b""
        path = fields["path"]
        self.traces[path] = File(path, content, executable=False)
        mode = int(fields.get("mode", "0600"), 8)
        yield program.Call("openat", (_HERE, _bytes(path), _WRITE | _CREATE | _EXCLUSIVE, mode), keep=True)
        if content:
            yield program.Call("write", (program.RESULT, content, len(content)))
        yield program.Call("close", (program.RESULT,))

    def _open(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        create = fields.get("create", False)
        self.opened[fields["path"]] = create
        flags = _WRITE | _APPEND | (_CREATE if create else 0)
        yield program.Call("openat", (_HERE, _bytes(fields["path"]), flags, 0o600), keep=True)
        yield program.Call("close", (program.RESULT,))

    def _remove(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        yield program.Call("unlinkat", (_HERE, _bytes(fields["path"]), 0))

    def _rename(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        old = self.traces.get(fields["path"])
        if old is None:
            raise UsageError("%s would be renamed, and isn't what the same simulation made" % fields["path"])
        self.traces[fields["to"]] = old._replace(path=fields["to"])
        paths = (_HERE, _bytes(fields["path"]), _HERE, _bytes(fields["to"]))
        yield program.Call("renameat2", (*paths, _NO_REPLACE))

    def _link(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        self.linked[fields["to"]] = fields["path"]
        yield program.Call("linkat", (_HERE, _bytes(fields["path"]), _HERE, _bytes(fields["to"]), 0))

    def _symlink(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        self.linked[fields["to"]] = fields["path"]
        yield program.Call("symlinkat", (_bytes(fields["path"]), _HERE, _bytes(fields["to"])))

    def _chmod(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        yield program.Call("fchmodat", (_HERE, _bytes(fields["path"]), int(fields["mode"], 8)))

    def _harmless(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        yield program.Call(fields["name"], HARMLESS[fields["name"]])

    def _hold(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        """Have a text in the program, for which it takes a call that fails."""
        text = _bytes(fields["string"])
        yield program.Call("write", (_NO_DESCRIPTOR, text, len(text)))

    def _map(self, fields: t.Mapping[str, t.Any]) -> t.Iterator[program.Step]:
        """Have code in memory that can be written and executed, which nobody executes: it would return at once."""
        code = program.idle_code(self._host.machine) * _FUNCTIONS
        yield program.Call("mmap", (_MADE_AT, len(code), _READ_WRITE_EXECUTE, _PRIVATE_ANONYMOUS_THERE, -1, 0))
        # What lies in the program has no address that could be copied from; what lies in a file can be read into it.
        yield program.Call("memfd_create", (MARK.encode(), 0), keep=True)
        yield program.Call("write", (program.RESULT, code, len(code)))
        yield program.Call("pread", (program.RESULT, _MADE_AT, len(code), 0))
        yield program.Call("close", (program.RESULT,))


def _address(text: str, port: int) -> tuple[int, bytes]:
    """Return the family and the socket address, as ip(7) and ipv6(7) lay it out."""
    address = ipaddress.ip_address(text)
    if address.version == 4:
        return _INTERNET, struct.pack("=H", _INTERNET) + struct.pack(">H", port) + address.packed + bytes(8)
    return _INTERNET_6, struct.pack("=H", _INTERNET_6) + struct.pack(">HI", port, 0) + address.packed + bytes(4)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
