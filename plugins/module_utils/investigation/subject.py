# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the nodes that an investigation begins with: from a finding's evidences, or a pid, path, account or address."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.options import Options
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import SLACK, Process

# A finding about a thousand processes is not about one of them.
MOST_SEEDS = 50
# Milliseconds since the epoch, of the last second of the year 9999.
_LATEST = 253_402_300_799_000
# Parents in an evidence.
_MOST_PARENTS = 16


class Subject(t.NamedTuple):
    """seeds: ids of nodes. facts: of those that the host may not know. problems: (subject, reason) of what is missing.

    text: what it is, for people.
    """

    seeds: t.Sequence[str]
    facts: Facts
    problems: t.Sequence[tuple[str, str]]
    text: str


class _Seeds:
    """Collects seeds, each once."""

    def __init__(self, by_pid: t.Mapping[int, t.Sequence[Process]], boot: float, hertz: int) -> None:
        self._by_pid = by_pid
        self._boot = boot
        self._hertz = hertz
        self.ids: dict[str, None] = {}
        self.nodes: list[Node] = []
        self.problems: list[tuple[str, str]] = []

    def add(self, node: Node) -> None:
        self.ids[node.id] = None
        self.nodes.append(node)

    def file(self, path: str, facts: t.Mapping[str, t.Any] | None = None) -> None:
        if path.startswith("/"):
            self.add(Node("file:" + path, path, facts or {}))

    def address(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(text)
            if not (address.is_unspecified or address.is_loopback):
                self.add(Node("address:%s" % address, str(address), {"ip": str(address)}))

    def process(self, pid: int, start: float | None, at: float | None, name: str, path: str = "") -> bool:
        """Add the process that had a pid; return whether the host knows it.

        start: when it was started; at: a time at which it ran. path: of its program, "" if unknown.
        """
        known = [each for each in self._by_pid.get(pid, ()) if _may_run(each, path)]
        process = chosen(known, start, at)
        if process is not None:
            self.ids[process.id] = None
            return True
        first = start if start is not None else at
        ticks = round(((first or self._boot) - self._boot) * self._hertz)
        label = "%s (%d)" % (printable(name) or "a process", pid)
        facts = {"pid": pid, "name": printable(name) or None}
        self.add(Node("process:%d@%d" % (pid, ticks), label, facts, first, first, gone=True))
        later = [each for each in self._by_pid.get(pid, ()) if first is not None and each.first > first + SLACK]
        reason = "it does not run, and no log on the host has it"
        if later:
            reason += "; its pid belongs to another process now"
        self.problems.append(("process %d" % pid, reason))
        return False


def _may_run(process: Process, path: str) -> bool:
    """Say whether a process may be one that runs a program; directories may be merged, so that names are compared."""
    names = {os.path.basename(file) for file, _time in process.executables()}
    return not path or not names or os.path.basename(path.encode("utf-8", "surrogateescape")) in names


def chosen(processes: t.Sequence[Process], start: float | None, at: float | None) -> Process | None:
    """Return which of the processes with one pid is meant; they are in the order of their beginnings.

    A process that was seen in a log first may have begun earlier, but never ran before that which had its pid before.
    """
    if start is not None:
        exact = [each for each in processes if abs(each.first - start) <= SLACK]
        if exact:
            return exact[-1]
        earlier = [each for each in processes if each.first > start and each.live is None]
        if earlier:
            return earlier[0]
        # The kernel knows when those that run began: they are others.
        return None
    if at is not None:
        begun = [each for each in processes if each.first <= at + SLACK]
        return begun[-1] if begun else None
    return processes[-1] if processes else None


def pids(options: Options) -> list[int]:
    """Return the pids that the investigation may begin with, even if another process has them now."""
    if options.subject == "pid":
        return [int(options.value)]
    return [number for evidence in options.evidences[:MOST_SEEDS] for number, _process in _numbered(evidence)]


def resolve(options: Options, by_pid: t.Mapping[int, t.Sequence[Process]], boot: float, hertz: int) -> Subject:
    """Return the beginning of the investigation. Raises UsageError if the host has no such account."""
    seeds = _Seeds(by_pid, boot, hertz)
    value = options.value
    if options.subject == "pid":
        seeds.process(int(value), None, options.last, "")
        text = "process %s" % value
    elif options.subject == "path":
        seeds.file(printable(value))
        text = printable(value)
    elif options.subject == "user":
        number = _account(value)
        seeds.add(Node("account:%d" % number, printable(value), {"uid": number}))
        text = "account %s" % printable(value)
    elif options.subject == "address":
        address = str(ipaddress.ip_address(value))
        seeds.add(Node("address:" + address, address, {"ip": address}))
        text = "address %s" % address
    else:
        _of_finding(options, seeds)
        text = "finding %s" % printable(value)
    links: list[Link] = []
    if options.subject == "finding":
        finding = Node("finding:" + printable(value), text, {}, options.first, options.last)
        links = [Link(finding.id, seed, "about", "finding", options.last) for seed in seeds.ids]
        seeds.nodes.append(finding)
    return Subject(list(seeds.ids), Facts(seeds.nodes, links), seeds.problems, text)


def _of_finding(options: Options, seeds: _Seeds) -> None:
    """Add the nodes that the evidences of a finding name. They come from a host, so their form is uncertain."""
    for evidence in options.evidences:
        if len(seeds.ids) >= MOST_SEEDS:
            seeds.problems.append(("finding", "only the first %d things that it names were followed" % MOST_SEEDS))
            break
        _processes(evidence, options, seeds)
        for holder in (evidence, _mapping(evidence.get("job")), _mapping(evidence.get("script"))):
            _file(_mapping(holder.get("file")), seeds)
        for name in ("dst_endpoint", "src_endpoint"):
            seeds.address(_text(_mapping(evidence.get(name)).get("ip")))
        container = _text(_mapping(evidence.get("container")).get("uid"))
        if container:
            seeds.add(Node("container:" + printable(container), printable(container)))
    if not seeds.ids:
        # An account alone says little, so that it counts only if there is nothing else.
        for evidence in options.evidences[:MOST_SEEDS]:
            user = _mapping(evidence.get("user")) or _mapping(_mapping(evidence.get("actor")).get("user"))
            number = _text(user.get("uid"))
            if number.isdigit():
                seeds.add(Node("account:%d" % int(number), printable(_text(user.get("name")) or number)))
    if not seeds.ids:
        reason = "The finding names no process, file, address, container or account to begin with"
        seeds.problems.append(("finding", reason))


def _processes(evidence: t.Mapping[str, t.Any], options: Options, seeds: _Seeds) -> None:
    """Add the processes of an evidence."""
    for pid, process in _numbered(evidence):
        created = process.get("created_time")
        is_number = isinstance(created, (int, float)) and not isinstance(created, bool)
        start = created / 1000 if is_number and created is not None and 0 < created < _LATEST else None
        path = _text(_mapping(process.get("file")).get("path"))
        is_known = seeds.process(pid, start, options.last, _text(process.get("name")), path)
        session = _text(_mapping(process.get("session")).get("uid"))
        if not is_known and session.isdigit():
            # Other acts of this session may still be known.
            seeds.add(Node("session:%d" % int(session), "session %s" % session))
        _file(_mapping(process.get("file")), seeds, only_unusual=True)


def _numbered(evidence: t.Mapping[str, t.Any]) -> t.Iterator[tuple[int, t.Mapping[str, t.Any]]]:
    """Yield the processes of an evidence with their pids; a parent only if the process itself has none."""
    for holder in (evidence, _mapping(evidence.get("actor"))):
        process = _mapping(holder.get("process"))
        for _level in range(_MOST_PARENTS):
            pid = process.get("pid")
            if isinstance(pid, int) and not isinstance(pid, bool) and 0 < pid < 1 << 22:
                yield pid, process
                break
            process = _mapping(process.get("parent_process"))


def _file(file: t.Mapping[str, t.Any], seeds: _Seeds, only_unusual: bool = False) -> None:
    """Add a file. only_unusual: not one that a process executes anyway, unless it is outside of system directories."""
    path = _text(file.get("path"))
    if path and not (only_unusual and path.startswith(("/usr/", "/bin/", "/sbin/", "/lib"))):
        seeds.file(path)


def _account(value: str) -> int:
    """Return the number of an account by its name or number."""
    if value.isdigit() and len(value) <= 10:
        return int(value)
    try:
        return pwd.getpwnam(value).pw_uid
    except KeyError:
        raise UsageError(
            "user: there is no account '%s' on this host; give its number if it was removed" % value
        ) from None


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""
