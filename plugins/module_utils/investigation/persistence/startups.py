# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what starts by itself on a host, and connect it with the subject."""

from __future__ import annotations

import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import accounts_table, file_times, mentions
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.file_facts import FileFacts, FileReader
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.nearest import Nearest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence import kernel, locations
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence.model import Source, Startup
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted

SCOPE = "persistence"
MOST_STARTUPS = 300
_BY = "startups"
_CHECK_EVERY = 50
_MOST_ACCOUNTS = 20
# More that were changed at once are a deployment, or an upgrade of packages without digests.
_MOST_NEAR = 12
_LONGEST_COMMAND = 500
_ACTIVATING = (b".timer", b".socket", b".path")
# A wanted path that is shorter is part of too many others.
_SHORTEST_PATH = 5
# systemd.generator(7): written anew at each boot and reload, so that their time says nothing.
_GENERATED = (b"/run/systemd/generator",)
# Programs that so many startups use that they connect nothing.
_COMMON = re.compile(
    rb"/(?:usr/)?s?bin/(?:(?:ba|da|z|k|c|tc|a)?sh|env|nice|ionice|flock|timeout|test|\[|run-parts|cat|cp|mv|rm|ln|mkdir|chmod"
    rb"|chown|touch|echo|printf|grep|sed|awk|find|xargs|logger|sleep|true|false|kill|systemctl|python[\d.]*|perl[\d.]*|php"
    rb"|ruby|lua|node|curl|wget|nc|ncat|socat|base64|sudo|su|id|date|stat|tar|gzip|mount|umount|modprobe|udevadm)\Z"
)


class _Read(t.NamedTuple):
    file: locations.StartupFile
    facts: FileFacts
    startup: Startup
    points_to: t.Sequence[str]
    near: float | None
    is_ordinary: bool

    @property
    def rank(self) -> tuple[int, int, float]:
        """Return the sort key: links to the subject first, then changes near in time, then the newest."""
        return (not self.points_to, self.near is None, -self.facts.status.st_ctime)


def gather(host: Host, wanted: Wanted, budget: Budget) -> Facts:
    """Return in round 0 the startups that are new, unpackaged or changed, and those that point to what is wanted.

    The node of a startup has the facts of its file (``FileFacts.values``), and startup: the kind; commands: as they are
    written, passwords masked; accounts; and what its kind says, such as keys with fingerprints, schedules, modules.
    """
    if wanted.round:
        return Facts()
    return _Look(host, wanted, budget).gather()


class _Look:
    def __init__(self, host: Host, wanted: Wanted, budget: Budget) -> None:
        self._host, self._wanted, self._budget = host, wanted, budget
        self._reader = FileReader(host, budget)
        self._nearest = Nearest(wanted)
        self._accounts = accounts_table.read(host, budget)
        self._paths = _searched(wanted.names("file"))
        self._addresses = [name.encode("utf-8", "replace") for name in wanted.names("address")]
        self._skeletons = self._read_skeletons()
        self._near = 0
        self._nodes: list[Node] = []
        self._links: list[Link] = []
        self._events: list[Event] = []

    def gather(self) -> Facts:
        reads = sorted(self._read_all(), key=lambda read: (read.rank, read.file.path))
        self._near = sum(read.near is not None for read in reads)
        if self._near > _MOST_NEAR:
            text = "%d startups were changed near in time; so many say nothing about each." % self._near
            self._budget.cut("hub", text, self._near)
        for read in reads[:MOST_STARTUPS]:
            self._add(read)
        self._activate(reads[:MOST_STARTUPS])
        left = len(reads) - MOST_STARTUPS
        if left > 0:
            self._budget.cut(
                "nodes", "%d more startups are unpackaged or changed; the oldest are left out." % left, left
            )
        in_kernel = kernel.gather(self._host, self._nearest, self._wanted.nodes.keys(), self._budget)
        return Facts(
            (*self._nodes, *in_kernel.nodes), (*self._links, *in_kernel.links), (*self._events, *in_kernel.events)
        )

    def _read_all(self) -> list[_Read]:
        homes = self._homes()
        reads = []
        definitions = locations.find(self._host, homes, self._budget)
        for number, each in enumerate(definitions):
            if number % _CHECK_EVERY == 0 and self._budget.passed():
                text = "%d files that may start something were not read: there was no time left." % (
                    len(definitions) - number
                )
                self._budget.cut(SECONDS, text, len(definitions) - number)
                break
            facts = self._reader.read(each.path)
            if facts is None or stat.S_ISDIR(facts.status.st_mode):
                continue
            read = self._interpreted(each, facts)
            if read.points_to or read.near is not None or not read.is_ordinary:
                reads.append(read._replace(facts=facts._replace(content=b"")))
        return reads

    def _interpreted(self, file: locations.StartupFile, facts: FileFacts) -> _Read:
        times = file_times.happened(facts.times)
        is_generated = file.path.startswith(_GENERATED)
        near = self._nearest.first_near(times.values()) if not (facts.is_proven or is_generated) else None
        is_ordinary = facts.is_as_packaged or facts.sha256 in self._skeletons
        points_to = self._pointed_to(file.path, facts)
        startup = Startup()
        if points_to or near is not None or not is_ordinary:
            startup = file.location.reader(Source(file.path, facts.content, file.account))
        return _Read(file, facts, startup, points_to, near, is_ordinary)

    def _pointed_to(self, path: bytes, facts: FileFacts) -> list[str]:
        """Return the ids of the wanted files and addresses that the file of a startup is, or names."""
        pointed = ["file:" + printable(path)] if "file:" + printable(path) in self._wanted.nodes else []
        if self._paths is not None and mentions.is_text(facts.content):
            matches = {match.group(1) for match in self._paths.finditer(facts.content)}
            pointed += ["file:" + printable(match) for match in sorted(matches) if not _COMMON.match(match)]
        pointed += ["address:" + each.decode("utf-8") for each in self._addresses if each in facts.content]
        return pointed

    def _homes(self) -> dict[bytes, str]:
        homes = self._accounts.homes()
        try:
            names = self._host.names(b"/home")
        except OSError:
            names = []
        for name in names[: accounts_table.MOST_ACCOUNTS]:
            homes.setdefault(b"/home/" + name, name.decode("utf-8", "surrogateescape"))
        return homes

    def _read_skeletons(self) -> set[str]:
        """Return the digests of the files that each new home directory gets a copy of."""
        try:
            names = self._host.names(b"/etc/skel")
        except OSError as error:
            if error.errno not in _safe_fs.GONE:
                self._budget.skip("/etc/skel", _safe_fs.reason(error))
            return set()
        files = [self._reader.read(b"/etc/skel/" + name) for name in names[:100]]
        return {facts.sha256 for facts in files if facts is not None and facts.sha256 and facts.is_as_packaged}

    def _add(self, read: _Read) -> None:
        path, facts, startup = read.file.path, read.facts, read.startup
        name = printable(path)
        identity = "startup:" + name
        accounts = [*startup.accounts, *([read.file.account] if read.file.account else [])]
        commands = [_masked(command) for command in startup.commands]
        values = {
            **facts.values(),
            "startup": read.file.location.kind,
            "commands": commands,
            "accounts": [printable(account) for account in dict.fromkeys(accounts)][:_MOST_ACCOUNTS],
            **_shown(startup.details),
        }
        times = file_times.happened(facts.times)
        self._nodes.append(Node(identity, name, values, min(times.values()), max(times.values())))
        for time in times.values() if not read.is_ordinary or read.near is not None else ():
            self._events.append(
                Event(time, "file system", "%s (%s) was written" % (name, read.file.location.kind), (identity,))
            )
        for target in read.points_to:
            if target != "file:" + name:
                self._link(identity, target, "mentions")
        for program in startup.programs:
            self._start(identity, path, program)
        for address in mentions.find(b"\n".join(startup.commands)).addresses:
            self._nodes.append(Node("address:" + address, address, {"ip": address}))
            self._link(identity, "address:" + address, "mentions")
        for account in dict.fromkeys(accounts):
            uid = self._accounts.uid(account)
            # Nearly everything runs as root, which connects nothing.
            if uid:
                self._link(identity, "account:%d" % uid, "runs_as")
        neighbour = self._nearest.node(read.near) if read.near is not None else None
        if neighbour is not None and self._near <= _MOST_NEAR:
            self._link(identity, neighbour, "near", read.near)

    def _activate(self, reads: t.Sequence[_Read]) -> None:
        """Connect timers, sockets and paths of systemd with the units that they start (Unit=, or the same name)."""
        units = {os.path.basename(read.file.path): "startup:" + printable(read.file.path) for read in reads}
        for read in reads:
            stem, suffix = os.path.splitext(os.path.basename(read.file.path))
            if suffix in _ACTIVATING:
                named = read.startup.details.get("Unit") or [os.fsdecode(stem) + ".service"]
                targets = (units.get(os.fsencode(name)) for name in named)
                for target in filter(None, targets):
                    self._link("startup:" + printable(read.file.path), target, "starts")

    def _start(self, identity: str, path: bytes, program: bytes) -> None:
        """Connect a startup with a program, unless many use that, or a package owns it and nothing asked for it."""
        target = "file:" + printable(program)
        if program == path or _COMMON.match(program):
            return
        if target not in self._wanted.nodes:
            facts = self._reader.read(program)
            if facts is not None and (facts.is_as_packaged or stat.S_ISDIR(facts.status.st_mode)):
                return
        self._link(identity, target, "starts")

    def _link(self, source: str, target: str, relation: str, time: float | None = None) -> None:
        self._links.append(Link(source, target, relation, _BY, time))


def _searched(names: t.Sequence[str]) -> re.Pattern[bytes] | None:
    """Return what finds the wanted paths as whole paths in a text, None without any."""
    paths = []
    for name in names:
        try:
            path = unprintable(name)
        except ValueError:
            continue
        if path.startswith(b"/") and len(path) >= _SHORTEST_PATH and path.count(b"/") > 1:
            paths.append(path)
    if not paths:
        return None
    # The longest first: of two paths, one may be the beginning of the other.
    each = b"|".join(re.escape(path) for path in sorted(set(paths), key=lambda path: (-len(path), path)))
    return re.compile(rb"(?<![\w/.-])(" + each + rb")(?![\w/.-]*\w)")


def _shown(details: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: _printable(value) for name, value in details.items()}


def _masked(text: bytes | str) -> str:
    """Return the beginning of a text for people; it is cut first, as masking looks at each character many times."""
    return masked(printable(text[: 2 * _LONGEST_COMMAND]))[:_LONGEST_COMMAND]


def _printable(value: t.Any) -> t.Any:
    if isinstance(value, str):
        return _masked(value)
    if isinstance(value, (list, tuple)):
        return [_printable(each) for each in value]
    return {name: _printable(each) for name, each in value.items()} if isinstance(value, dict) else value
