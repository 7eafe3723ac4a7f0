# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's YARA rules, where yara(1) or YARA-X's yr is on the host.

It never gets a process to look at: it would attach to it with ptrace(2), which stops it. It gets the file of the
executable, and copies of memory in files that are in memory themselves and can't be changed (memfd_create(2), sealed).
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import shutil
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command, _page_cache
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools import searching
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.searching import OutOfTimeError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Memory, Range, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

# Of memory at a time, and how much of it comes again at the start of the next copy.
_COPY = 32 << 20
_OVERLAP = 1 << 16
_LONGEST_RUN = 60.0
_MOST_OUTPUT = 1 << 20
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# fcntl(2); Python has names for them from 3.8 on, as far as its C library had.
_ADD_SEALS, _SEALS = 1033, 0x1 | 0x2 | 0x4 | 0x8
_RULE = re.compile(r"([A-Za-z_]\w{0,127}) (.+)\Z")
_STRING = re.compile(r"0x([0-9a-f]{1,16}):(\d{1,12}):(\$\w{0,128})\Z")


class Match(t.NamedTuple):
    """A rule that matches. places: its strings, and where each begins."""

    rule: str
    places: tuple[tuple[str, int], ...]


class Program(t.NamedTuple):
    """modern: whether it is YARA-X."""

    path: str
    modern: bool


class _Rules(t.NamedTuple):
    """Rules that can be used. descriptor: what they are compiled to; None where they are read as they are."""

    path: str
    descriptor: int | None


def of_executable(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what the rules say of the executable; nothing where there are none. Each file is looked at once."""
    if not host.options.yara_rules or view.process.executable is None:
        return
    descriptor = view.open_executable()
    if descriptor is None:
        return
    try:
        file = searching.regular(descriptor)
        if file is None:
            return
        found = host.remember(("yara", file.identity), lambda: _scan_file(view, host, file))
    finally:
        os.close(descriptor)
    yield from (_sign(match, "its executable", ()) for match in found)


def of_memory(view: View, host: Host, ranges: t.Sequence[Range]) -> t.Iterator[Sign]:
    """Yield what the rules say of memory that is present, each rule once."""
    if not host.options.yara_rules:
        return
    seen = set()
    try:
        for pieces, descriptor in _copies(view, host, ranges):
            try:
                found = _scan(view, host, descriptor)
            finally:
                os.close(descriptor)
            for match in found:
                if match.rule not in seen:
                    seen.add(match.rule)
                    yield _sign(match, "its memory", tuple(_located(view, match, pieces)))
    except OutOfTimeError:
        view.skip("the time budget ended while YARA searched it")


def _scan_file(view: View, host: Host, file: searching.File) -> list[Match]:
    with _page_cache.restored(file.descriptor, file.size):
        return _scan(view, host, file.descriptor)


def program() -> Program | None:
    """Return what there is on this host."""
    for name, modern in (("yara", False), ("yr", True)):
        path = shutil.which(name, path=_PATH)
        if path is not None:
            return Program(path, modern)
    return None


def parse(output: str, target: str) -> list[Match]:
    """Return what yara(1) printed of a file with ``-L``; lines of another form are none of its own."""
    found: list[Match] = []
    for line in output.split("\n"):
        string = _STRING.match(line)
        if string:
            if found:
                found[-1] = Match(found[-1].rule, (*found[-1].places, (string[3], int(string[1], 16))))
            continue
        rule = _RULE.match(line)
        if rule and rule[2] == target:
            found.append(Match(rule[1], ()))
    return found


def parse_modern(output: str) -> list[Match]:
    """Return what yr printed with ``--output-format ndjson``: an object on each line."""
    found = []
    for line in output.split("\n"):
        try:
            given = json.loads(line)
        except (ValueError, RecursionError):
            continue
        for rule in _list(given, "rules"):
            name = rule.get("identifier") if isinstance(rule, dict) else None
            if isinstance(name, str) and _RULE.match(name + " x"):
                found.append(Match(name, tuple(_modern_places(rule))))
    return found


def _list(given: t.Any, key: str) -> list[t.Any]:
    value = given.get(key) if isinstance(given, dict) else None
    return value if isinstance(value, list) else []


def _modern_places(rule: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, int]]:
    for string in _list(rule, "strings"):
        if not isinstance(string, dict):
            continue
        name, place = string.get("identifier"), string.get("offset")
        if isinstance(name, str) and isinstance(place, int) and not isinstance(place, bool) and 0 <= place < 1 << 63:
            yield name[:128], place


def _scan(view: View, host: Host, descriptor: int) -> list[Match]:
    """Return what all rules say of an open file; none where they can't be used, which the coverage says once."""
    tool: Program | None = host.remember(("yara", "program"), program)
    if tool is None:
        _say_once(view, host, "yara_rules: neither yara nor yr is on this host; install one of them")
        return []
    found: list[Match] = []
    for path in host.options.yara_rules:
        rules: _Rules | str = host.remember(("yara", "rules", path), functools.partial(_compiled, tool, path))
        if isinstance(rules, str):
            _say_once(view, host, rules)
            continue
        target = "/proc/%d/fd/%d" % (os.getpid(), descriptor)
        try:
            found.extend(_run(tool, rules, target, host.seconds_left()))
        except _command.CommandError as error:
            view.skip("yara_rules: %s: %s" % (path, error))
    return found


def _say_once(view: View, host: Host, reason: str) -> None:
    host.remember(("yara", "said", reason), lambda: view.skip(reason))


def _run(tool: Program, rules: _Rules, target: str, seconds: float) -> list[Match]:
    limit = max(1.0, min(_LONGEST_RUN, seconds))
    source = [rules.path] if rules.descriptor is None else ["-C", "/proc/%d/fd/%d" % (os.getpid(), rules.descriptor)]
    if tool.modern:
        options = ["scan", "--output-format", "ndjson", "--print-strings=1", "--disable-warnings"]
        command = [tool.path, *options, "--timeout", str(int(limit)), *source, target]
    else:
        command = [tool.path, "-L", "-w", "-q", "-a", str(int(limit)), *source, target]
    answer = _command.run(command, limit + 5, _MOST_OUTPUT)
    if answer.returncode:
        raise _command.CommandError("%s: %s" % (tool.path, _first_line(answer.stderr)))
    output = answer.stdout.decode("utf-8", "replace")
    return parse_modern(output) if tool.modern else parse(output, target)


def _compiled(tool: Program, path: str) -> _Rules | str:
    """Return rules as they are to be used, or the sentence that says why they can't be."""
    try:
        if not os.path.isfile(path):
            return "yara_rules: %s is not a file on this host; copy the rules there first" % path
        compiler = None if tool.modern else shutil.which("yarac", path=_PATH)
        descriptor = os.memfd_create("rules", os.MFD_CLOEXEC)
        own = "/proc/%d/fd/%d" % (os.getpid(), descriptor)
        if tool.modern:
            command = [tool.path, "compile", "--disable-warnings", "-o", own, path]
        elif compiler is not None:
            command = [compiler, "-w", path, own]
        else:
            # Trying them on an empty file says whether they can be used.
            command = [tool.path, "-w", path, own]
        answer = _command.run(command, _LONGEST_RUN, _MOST_OUTPUT)
    except OSError as error:
        return "yara_rules: %s: %s" % (path, error)
    if answer.returncode:
        os.close(descriptor)
        return "yara_rules: %s can't be used: %s" % (path, _first_line(answer.stderr))
    if tool.modern or compiler is not None:
        return _Rules(path, descriptor)
    os.close(descriptor)
    return _Rules(path, None)


def _first_line(said: bytes) -> str:
    lines = [line for line in said.split(b"\n") if line.strip()]
    return printable(lines[0][:300]) if lines else "it failed and said nothing"


# Where a piece of a copy is in the process: (offset in the copy, address, length).
_Piece = t.Tuple[int, int, int]


def _copies(view: View, host: Host, ranges: t.Sequence[Range]) -> t.Iterator[tuple[list[_Piece], int]]:
    """Yield copies of memory with where their pieces come from. Raises OutOfTimeError."""
    pieces: list[_Piece] = []
    held: list[bytes] = []
    size, fresh = 0, False
    for address, data in searching.of_memory(view, ranges, host):
        held.append(data)
        pieces.append((size, address, len(data)))
        size, fresh = size + len(data), True
        if size > _COPY - searching.PIECE:
            yield pieces, _sealed(held)
            last = data[-_OVERLAP:]
            held, size, fresh = [last], len(last), False
            pieces = [(0, address + len(data) - len(last), len(last))]
    if fresh:
        yield pieces, _sealed(held)


def _sealed(parts: t.Sequence[bytes]) -> int:
    descriptor = os.memfd_create("memory", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _ADD_SEALS, _SEALS)
    return descriptor


def _located(view: View, match: Match, pieces: t.Sequence[_Piece]) -> t.Iterator[Memory]:
    done = set()
    for name, offset in match.places:
        address = next((start + offset - at for at, start, length in pieces if at <= offset < at + length), None)
        mapping = next((one for one in view.maps if address is not None and one.start <= address < one.end), None)
        if address is None or mapping is None or name in done:
            continue
        done.add(name)
        yield Memory(
            mapping.start,
            mapping.end,
            mapping.permissions,
            printable(mapping.path),
            mapping.size,
            signature="%s: %s" % (match.rule, name),
            offset=address - mapping.start,
        )


def _sign(match: Match, where: str, memory: tuple[Memory, ...]) -> Sign:
    return Sign("yara_match", "%s matches the rule %s" % (where, match.rule), memory, data={"rule": match.rule})
