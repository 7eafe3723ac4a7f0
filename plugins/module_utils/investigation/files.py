# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of an investigation: those that are connected with the subject, and those that were changed near in time."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import (
    file_times,
    mentions,
    quiet_directories,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.file_facts import FileFacts, FileReader
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.nearest import Nearest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.statx import Statx

SCOPE = "files"
# The walk follows as many from one node.
MOST_NEAR = 40
# Packaged files that are compared with their package: an upgrade within the window changes thousands.
_MOST_COMPARED = 300
_BY = "file system"


def gather(host: Host, wanted: Wanted, budget: Budget) -> Facts:
    """Return the facts of the files of ``wanted.new``, and in round 0 of those that were changed near in time."""
    return _Gathering(host, wanted, budget).gather()


def dated(host: Host, identity: str) -> Node:
    """Return a file's node with when it was made and changed; without times if it is gone.

    A packaged file has the time of its content from its package, which says nothing about this host.
    """
    name = identity.partition(":")[2]
    path = _path(name)
    times: list[float] = []
    if path is not None:
        with contextlib.suppress(OSError), host.pinned(host.packages.packages.names(path)[0]) as (pinned, status):
            own = file_times.Times(status.st_mtime_ns, status.st_ctime_ns, Statx().ask(pinned).born)
            is_packaged = host.packages.owned(path) is not None
            times = [status.st_ctime] if is_packaged else list(file_times.happened(own).values())
    return Node(identity, name, {}, min(times, default=None), max(times, default=None))


class _Gathering:
    def __init__(self, host: Host, wanted: Wanted, budget: Budget) -> None:
        self._wanted, self._budget, self._host = wanted, budget, host
        self._reader = FileReader(host, budget)
        self._nearest = Nearest(wanted)
        self._nodes: dict[str, Node] = {}
        self._links: list[Link] = []
        self._events: list[Event] = []

    def gather(self) -> Facts:
        subjects = self._subjects()
        walk = quiet_directories.Walk((), {})
        if self._wanted.round == 0:
            own = [facts for facts in subjects.values() if not facts.is_as_packaged]
            directories = sorted({os.path.dirname(facts.path) for facts in own})
            times = [facts.times.modified for facts in own if stat.S_ISREG(facts.status.st_mode)]
            walk = quiet_directories.walk(self._host, self._nearest, directories, times, self._budget)
        for name, facts in subjects.items():
            self._add(name, facts, walk.twins)
        self._add_near(walk)
        return Facts(tuple(self._nodes.values()), tuple(self._links), tuple(self._events))

    def _subjects(self) -> dict[str, FileFacts]:
        """Return the facts of the wanted files by their printable paths; those that are gone become nodes here."""
        subjects: dict[str, FileFacts] = {}
        for name in self._wanted.names("file", only_new=True):
            path = _path(name)
            if path is None:
                continue
            if self._budget.passed():
                self._budget.cut(SECONDS, "Not all files that are connected were read: there was no time left.")
                break
            facts = self._reader.read(path)
            if facts is not None:
                subjects[name] = facts
            elif path in self._reader.gone:
                self._nodes["file:" + name] = Node("file:" + name, name, {}, gone=True)
        return subjects

    def _add(self, name: str, facts: FileFacts, twins: t.Mapping[int, t.Sequence[bytes]]) -> None:
        identity = "file:" + name
        if identity in self._nodes:
            return
        values = facts.values()
        if not facts.is_as_packaged and stat.S_ISREG(facts.status.st_mode):
            twin = next((path for path in twins.get(facts.times.modified, ()) if path != facts.path), None)
            shown = printable(twin) if twin is not None else None
            values["signs"] = file_times.signs(facts.times, self._host.now, shown)
        happened = file_times.happened(facts.times)
        if facts.is_as_packaged:
            happened = {word: time for word, time in happened.items() if self._nearest.is_near(time)}
        times = list(happened.values())
        self._nodes[identity] = Node(identity, name, values, min(times, default=None), max(times, default=None))
        for word, time in happened.items():
            self._events.append(Event(time, _BY, "%s was %s" % (name, _WORDS[word]), (identity,)))
        self._connect(identity, facts)

    def _connect(self, identity: str, facts: FileFacts) -> None:
        if facts.owned is not None:
            package = "package:" + printable(facts.owned.package)
            values = {"manager": facts.owned.manager, "version": printable(facts.owned.version)}
            self._nodes.setdefault(package, Node(package, printable(facts.owned.label), values))
            self._link(identity, package, "belongs_to", "packages")
        # Nearly everything is root's, which connects nothing.
        if facts.status.st_uid:
            self._link(identity, "account:%d" % facts.status.st_uid, "belongs_to", _BY)
        if facts.target is not None:
            target = os.path.normpath(os.path.join(os.path.dirname(facts.path), facts.target))
            self._link(identity, "file:" + printable(target), "mentions", "link")
        if facts.is_as_packaged:
            return
        mentioned = mentions.find(facts.content)
        for address in mentioned.addresses:
            self._nodes.setdefault("address:" + address, Node("address:" + address, address, {"ip": address}))
            self._link(identity, "address:" + address, "mentions", "content")
        for path in mentioned.paths:
            self._mention(identity, path)

    def _mention(self, identity: str, path: bytes) -> None:
        """Connect a file with one that it names, unless that is a packaged one: a script names dozens of these."""
        target = "file:" + printable(path)
        is_known = target in self._wanted.nodes
        owned = self._host.packages.owned(path)
        if not is_known and owned is not None:
            return
        facts = self._reader.read(path)
        if not is_known and (facts is None or stat.S_ISDIR(facts.status.st_mode)):
            return
        self._link(identity, target, "mentions", "content")
        if facts is not None and target not in self._nodes:
            self._nodes[target] = Node(target, target[len("file:") :], facts.values())

    def _link(self, source: str, target: str, relation: str, by: str, time: float | None = None) -> None:
        self._links.append(Link(source, target, relation, by, time))

    def _add_near(self, walk: quiet_directories.Walk) -> None:
        known = self._wanted.nodes
        new = [
            near
            for near in walk.near
            if "file:" + printable(near.path) not in known and near.path not in self._host.own_files
        ]
        owned = {near.path: self._host.packages.owned(near.path) is not None for near in new}
        ordered = sorted(new, key=lambda near: (owned[near.path], self._distance(near.time), near.path))
        added = compared = 0
        for number, near in enumerate(ordered):
            compared += owned[near.path]
            if added >= MOST_NEAR or compared > _MOST_COMPARED or (number % 16 == 0 and self._budget.passed()):
                text = "%d more files were changed near in time." % (len(ordered) - number)
                self._budget.cut("nodes", text, len(ordered) - number)
                break
            facts = self._reader.read(near.path)
            if facts is None or facts.is_proven or self._is_of_other_process(facts):
                continue
            name = printable(near.path)
            neighbour = self._nearest.node(near.time)
            self._add(name, facts, walk.twins)
            if neighbour is not None:
                self._link("file:" + name, neighbour, "near", _BY, near.time)
            added += 1

    def _is_of_other_process(self, facts: FileFacts) -> bool:
        """Say whether a file only has the number of a process that runs and is not connected."""
        number = facts.content.strip()
        if not facts.path.startswith((b"/run/", b"/var/run/")) or not (0 < len(number) < 8 and number.isdigit()):
            return False
        start = "process:%d@" % int(number)
        is_connected = any(identity.startswith(start) for identity in self._wanted.nodes)
        return not is_connected and os.path.exists("%s/%d" % (self._host.proc, int(number)))

    def _distance(self, time: float) -> float:
        neighbour = self._nearest.node(time)
        node = self._wanted.nodes.get(neighbour) if neighbour is not None else None
        known = [each for each in (node.first, node.last) if each is not None] if node is not None else []
        return min((abs(time - each) for each in known), default=0.0)


_WORDS: t.Mapping[str, str] = {
    "made": "made",
    "modified": "written",
    "changed": "changed (renamed, linked, or its owner, mode or times)",
}


def _path(name: str) -> bytes | None:
    """Return the path of a file's name; None if it is no path on the host, such as that of a memfd."""
    try:
        path = unprintable(name)
    except ValueError:
        return None
    return path if path.startswith(b"/") else None
