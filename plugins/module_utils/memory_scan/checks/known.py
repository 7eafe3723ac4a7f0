# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known things: miners, remote-access toolkits, tunnels, rootkits and other tools, by the signatures of the content.

The file of each executable is searched once, and the libraries that no package has put there. Memory is searched where
something else was seen of a process, or nobody knows where its program came from; all of it with the option ``full``.
"""

from __future__ import annotations

import functools
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES, printable
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import (
    programs,
    standing,
    surroundings,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools import mining, searching, yara
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.searching import (
    File,
    OutOfTimeError,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures import (
    KINDS,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_search import (
    Match,
    Matcher,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    engines,
    images,
    libraries,
    memory_code,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Memory, Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

_KEY = "known"
_MIB = 1 << 20
# Of one file, of one library, and of the memory of one process that is suspicious.
_LARGEST_FILE = 512 * _MIB
_LARGEST_LIBRARY = 64 * _MIB
_MOST_MEMORY = 256 * _MIB
# Of processes of which nothing is known but that no package has their program: of one, and of all together.
_SOME_MEMORY = 8 * _MIB
_SOME_MEMORY_IN_ALL = 512 * _MIB
# Of a process that is known by its file already, the memory adds nothing.
_TOOLKITS = frozenset("known_%s" % kind for kind in KINDS if kind not in ("tunnel", "proof_of_work"))
# Who holds marks of more tools than that has the rules of a scanner, or wants to look like it.
_TOOLS_HELD = 3
_OUT_OF_TIME = "the time budget ended while it was searched for signatures"


class _Found(t.NamedTuple):
    """What a file has. complete: whether all of it was searched."""

    matches: tuple[Match, ...]
    complete: bool


def check(view: View, host: Host) -> t.Iterator[Sign]:
    """Yield what the files and the arguments of a process are known by."""
    process = view.process
    if process.is_kernel_thread:
        return
    matcher = _matcher(host)
    told = _arguments(process, matcher)
    signs = _grouped(_executable(view, host, matcher), "its executable", _in_file(view))
    yield from signs
    mined = any(sign.subtype == "known_miner" for sign in signs)
    if told is not None and not mined:
        yield Sign("mining_arguments", "its arguments name %s" % told)
    if not process.container:
        yield from _libraries(view, host, matcher, lambda one: host.owner(one.path) is None)
    if not mined:
        dataset = mining.dataset(view)
        if dataset is not None:
            yield Sign("mining_memory", "it has a data set of the size and randomness that RandomX needs", (dataset,))
    yield from yara.of_executable(view, host)


def check_deep(view: View, host: Host, signs: t.Sequence[Sign]) -> t.Iterator[Sign]:
    """Yield what the memory of a process is known by, where anything makes it worth a look."""
    most = _worth(view.process, host, signs)
    if not most or any(sign.subtype in _TOOLKITS for sign in signs):
        return
    matcher = _matcher(host)
    grave = any(host.content.severity(sign) != "informational" for sign in signs)
    if view.process.container and most > _SOME_MEMORY:
        yield from _libraries(view, host, matcher, lambda _one: True)
    seen = {sign.subtype for sign in signs}
    ranges, whole = searching.present(view, searching.own_memory(view.maps), most)
    if not whole and most > _SOME_MEMORY:
        view.skip("more than the first %d MiB of its memory were not searched for signatures" % (most // _MIB))
    try:
        matches = matcher.scan("memory", lambda: searching.of_memory(view, ranges, host))
    except OutOfTimeError:
        view.skip(_OUT_OF_TIME)
        return
    families = sorted({match.signature.family for match in matches})
    if len(families) > _TOOLS_HELD:
        yield Sign("many_tools_held", "its memory holds marks of %s" % ", ".join(families), _held(view, matches))
    elif matches and not grave and _holds_data_only(view, host):
        names = ", ".join(match.signature.title for match in matches)
        yield Sign("tool_data_held", "its data have the marks of: %s" % names, _held(view, matches))
    else:
        yield from (sign for sign in _grouped(matches, "its memory", _in_memory(view)) if sign.subtype not in seen)
    if most > _SOME_MEMORY:
        yield from yara.of_memory(view, host, ranges)


def _holds_data_only(view: View, host: Host) -> bool:
    """Say whether all code of a process is its packages' own, and no interpreter's, so that what it holds isn't run.

    What passes through a program stays in its memory for a while: the Docker daemon writes down what containers say.
    """
    process = view.process
    if programs.is_versatile(process) or memory_code.regions(view, host):
        return False
    if process.executable is None or libraries.package_of_executable(host, process) is None:
        return False
    descriptor = view.open_executable()
    if descriptor is None:
        return False
    try:
        changed = host.has_digests(process.executable) and not host.as_packaged(process.executable, descriptor)
    finally:
        os.close(descriptor)
    if changed:
        return False
    loaded = [(one, images.look_at(view, host, one)) for one in libraries.mapped(view)]
    return all(file is not None and libraries.package_of(host, one.path, file.status) for one, file in loaded)


def _matcher(host: Host) -> Matcher:
    return t.cast("Matcher", host.remember((_KEY, "matcher"), lambda: Matcher.from_payload(host.content.signatures)))


def _arguments(process: Process, matcher: Matcher) -> str | None:
    told = mining.arguments(process.arguments)
    if told is not None or not process.arguments:
        return told
    joined = b"\0%s\0" % b"\0".join(process.arguments)
    matches = matcher.scan("arguments", lambda: iter(((0, joined),)))
    return "what those of %s do" % matches[0].signature.title if matches else None


def _executable(view: View, host: Host, matcher: Matcher) -> list[Match]:
    if view.process.executable is None:
        return []
    descriptor = view.open_executable()
    if descriptor is None:
        return []
    try:
        return _of_file(view, host, matcher, "executable", descriptor, _LARGEST_FILE)
    finally:
        os.close(descriptor)


def _libraries(view: View, host: Host, matcher: Matcher, chosen: t.Callable[[Mapping], bool]) -> t.Iterator[Sign]:
    """Yield the rootkits among the libraries that are chosen."""
    if not matcher.looks_in("library"):
        return
    done = set()
    for mapping in view.maps:
        if not mapping.executable or mapping.anonymous or mapping.path == view.process.executable:
            continue
        key = (mapping.device, mapping.inode)
        # What compilers share with themselves is memory, and searched as such.
        if key in done or engines.kind_of(mapping) in (engines.SHARED, engines.MEMFD) or not chosen(mapping):
            continue
        done.add(key)
        matches = host.remember((_KEY, "library", key), functools.partial(_library, view, host, matcher, mapping))
        yield from _grouped(matches, "the library %s" % printable(mapping.path), _as_a_whole(mapping))


def _library(view: View, host: Host, matcher: Matcher, mapping: Mapping) -> list[Match]:
    descriptor = view.open_mapped(mapping)
    if descriptor is None:
        return []
    try:
        return _of_file(view, host, matcher, "library", descriptor, _LARGEST_LIBRARY)
    finally:
        os.close(descriptor)


def _of_file(view: View, host: Host, matcher: Matcher, place: str, descriptor: int, most: int) -> list[Match]:
    file = searching.regular(descriptor)
    if file is None:
        return []
    found: _Found = host.remember((_KEY, place, file.identity), lambda: _searched(host, matcher, place, file, most))
    if not found.complete:
        view.skip(_OUT_OF_TIME)
    elif file.size > most:
        view.skip("only the first %d MiB of a file of it were searched for signatures" % (most // _MIB))
    return list(found.matches)


def _searched(host: Host, matcher: Matcher, place: str, file: File, most: int) -> _Found:
    try:
        return _Found(tuple(matcher.scan(place, lambda: searching.of_file(file, most, host))), True)
    except OutOfTimeError:
        return _Found((), False)


def _worth(process: Process, host: Host, signs: t.Sequence[Sign]) -> int:
    """Return how much of a process's memory is to be searched."""
    if process.is_kernel_thread:
        return 0
    if host.options.full:
        return 1 << 62
    if any(host.content.severity(sign) != "informational" for sign in signs):
        return _MOST_MEMORY
    around = surroundings.of(host)
    kind = standing.of(process, host, around).kind if process.executable is not None else standing.UNKNOWN
    if kind in standing.SUSPICIOUS:
        return _MOST_MEMORY
    # What runs in an interpreter is in its memory only; what can do harm from there has a connection.
    if kind in standing.TRUSTED and not (programs.language(process) and host.sockets_of(process)):
        return 0
    taken: dict[str, int] = host.remember((_KEY, "some"), dict)
    left = _SOME_MEMORY_IN_ALL - taken.get("bytes", 0)
    most = _SOME_MEMORY if left > 0 else 0
    taken["bytes"] = taken.get("bytes", 0) + min(process.resident, most)
    if process.resident > most:
        taken["processes"] = taken.get("processes", 0) + 1
    return most


def left_out(host: Host) -> str | None:
    """Return what to say of memory of which little was searched although nobody knows what it holds."""
    count = host.remember((_KEY, "some"), dict).get("processes", 0)
    if not count:
        return None
    which = "one process" if count == 1 else "%d processes" % count
    return (
        "The memory of %s without findings, whose programs or scripts no package ships, was searched for signatures"
        " only in part or not at all; set full (memory_scan_full of the role) to search all of it." % which
    )


_Place = t.Callable[[Match], t.Tuple[Memory, ...]]


def _grouped(matches: t.Iterable[Match], where: str, place: _Place) -> list[Sign]:
    """Return one sign for each kind of tool; that something computes what miners do says nothing more of a miner."""
    kinds: dict[str, list[Match]] = {}
    for match in matches:
        kinds.setdefault(match.signature.kind, []).append(match)
    if "miner" in kinds:
        kinds.pop("proof_of_work", None)
    return [_sign(kind, kinds[kind], where, place) for kind in KINDS if kind in kinds]


def _sign(kind: str, matches: t.Sequence[Match], where: str, place: _Place) -> Sign:
    titles = ", ".join(match.signature.title for match in matches)
    techniques = sorted({technique for match in matches for technique in match.signature.attack})
    return Sign(
        "known_%s" % kind,
        "%s has the marks of: %s" % (where, titles),
        tuple(memory for match in matches for memory in place(match)),
        severity=_severity(matches),
        data={"signatures": [match.signature.id for match in matches], "attack": techniques},
    )


def _severity(matches: t.Sequence[Match]) -> str | None:
    """Return the gravest that signatures have of their own, None where one of them has that of its kind."""
    own = [match.signature.severity for match in matches]
    grave = [one for one in own if one is not None]
    return max(grave, key=SEVERITIES.index) if len(grave) == len(own) else None


def _in_file(view: View) -> _Place:
    """Return what gives the place in memory of what was found in the file of the executable."""

    def place(match: Match) -> tuple[Memory, ...]:
        name, offset = match.places[0]
        for mapping in view.maps:
            at = offset - mapping.offset
            if mapping.path == view.process.executable and mapping.inode and 0 <= at < mapping.size:
                return (_memory(mapping, "%s: %s" % (match.signature.id, name), at),)
        return ()

    return place


def _in_memory(view: View) -> _Place:
    def place(match: Match) -> tuple[Memory, ...]:
        return tuple(
            _memory(mapping, "%s: %s" % (match.signature.id, name), address - mapping.start)
            for name, address in match.places
            for mapping in view.maps
            if mapping.start <= address < mapping.end
        )

    return place


def _held(view: View, matches: t.Sequence[Match]) -> tuple[Memory, ...]:
    place = _in_memory(view)
    return tuple(memory for match in matches for memory in place(match)[:1])


def _as_a_whole(mapping: Mapping) -> _Place:
    """Return what gives a mapping as the place, wherever in its file something was found."""
    return lambda _match: (_memory(mapping, None, None),)


def _memory(mapping: Mapping, signature: str | None, offset: int | None) -> Memory:
    path = printable(mapping.path)
    return Memory(
        mapping.start, mapping.end, mapping.permissions, path, mapping.size, signature=signature, offset=offset
    )
