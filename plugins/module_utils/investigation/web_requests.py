# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find requests to web servers that have to do with the subject, as somebody asks for a web shell."""

from __future__ import annotations

import bisect
import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import access_log, log_window
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.access_log import Request
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted, Window

BY = "access log"
_DIRECTORIES = (
    *(b"/var/log/nginx", b"/var/log/apache2", b"/var/log/httpd", b"/var/log/lighttpd", b"/var/log/caddy"),
    *(b"/var/log/tomcat", b"/var/log/tomcat9", b"/var/log/tomcat10", b"/var/log/haproxy", b"/var/log/traefik"),
)
_ACCESS = re.compile(rb"(?:.*access.*|other_vhosts.*|.*\.log)\Z")
_ERROR = re.compile(rb".*error.*\Z")
_ROTATED = re.compile(rb"(.*?)(?:[.-]\d[\d-]{0,20})?(?:\.gz)?\Z")
# Programs that answer requests, by the beginning of their names.
_SERVERS = re.compile(
    r"(nginx|apache2|httpd|lighttpd|caddy|php|java|node|gunicorn|uwsgi|uvicorn|python|ruby|puma|unicorn|perl|haproxy|traefik)"
)
# A request reaches the process that it starts within this time; logs have whole seconds.
_BEFORE, _AFTER = 3.0, 2.0
_FEW_CLIENTS = 3
_MOST_GROUPS = 2_000
_LONGEST_PATH = 200


@dataclasses.dataclass
class _Group:
    """Equal requests of one client."""

    request: Request
    first: float
    last: float
    count: int = 1


def is_server(node: Node) -> bool:
    """Say whether a node is a process of a program that answers requests, by its name."""
    return node.kind == "process" and _SERVERS.match(str(node.facts.get("name") or "")) is not None


def gather(host: Host, wanted: Wanted, windows: t.Sequence[Window], budget: Budget) -> Facts:
    """Return the requests for wanted files and of wanted addresses, and those just before a web server's process began.

    An address that asked for a wanted file is connected with it (``requested``). Of requests near a process only those
    are connected that could do something (POST, PUT, or with a query), if few clients sent any.
    """
    search = _Search(wanted)
    if not search.is_useful:
        return Facts()
    for path in _logs(host, budget):
        for first, last in windows:
            for time, line in log_window.lines(host, path, first, last, lambda _modified: access_log.time_of, budget):
                budget.examined += 1
                request = access_log.parse(line)
                if request is not None:
                    search.look(time, request)
    if search.left_out:
        text = "%d requests of further clients or paths were only counted." % search.left_out
        budget.cut("events", text, search.left_out)
    return search.facts()


class _Search:
    def __init__(self, wanted: Wanted) -> None:
        self._files = [
            (name, _bytes(name)) for name in wanted.names("file", only_new=True) if _is_telling(wanted, name)
        ]
        self._addresses = frozenset(wanted.names("address", only_new=True))
        has_server = any(is_server(node) for node in wanted.nodes.values())
        new = (wanted.nodes[identity] for identity in wanted.new) if has_server else ()
        times = [(node.first, node.id) for node in new if node.kind == "process" and node.first is not None]
        self._starts = sorted(times)
        self._by_file: dict[tuple[str, Request], _Group] = {}
        self._by_address: dict[Request, _Group] = {}
        self._by_process: dict[tuple[str, Request], _Group] = {}
        self.left_out = 0

    @property
    def is_useful(self) -> bool:
        return bool(self._files or self._addresses or self._starts)

    def look(self, time: float, request: Request) -> None:
        for name, path in self._files:
            if access_log.serves(request.path, path):
                self._note(self._by_file, (name, request), time, request)
        if request.client in self._addresses:
            self._note(self._by_address, request, time, request)
        if request.method in ("POST", "PUT", "PATCH") or request.has_query:
            index = bisect.bisect_left(self._starts, (time - _AFTER, ""))
            while index < len(self._starts) and self._starts[index][0] <= time + _BEFORE:
                self._note(self._by_process, (self._starts[index][1], request), time, request)
                index += 1

    def _note(self, groups: dict[t.Any, _Group], key: t.Any, time: float, request: Request) -> None:
        group = groups.get(key)
        if group is not None:
            group.first, group.last = min(group.first, time), max(group.last, time)
            group.count += 1
        elif len(groups) < _MOST_GROUPS:
            groups[key] = _Group(request, time, time)
        else:
            self.left_out += 1

    def facts(self) -> Facts:
        nodes: dict[str, Node] = {}
        links: list[Link] = []
        events: list[Event] = []
        for (name, request), group in self._by_file.items():
            self._connect(nodes, links, request, "file:" + name, "requested", group)
            events += _events(group, ("address:" + request.client, "file:" + name))
        for request, group in self._by_address.items():
            events += _events(group, ("address:" + request.client,))
        clients: dict[str, set[str]] = {}
        for process, request in self._by_process:
            clients.setdefault(process, set()).add(request.client)
        for (process, request), group in self._by_process.items():
            if len(clients[process]) <= _FEW_CLIENTS:
                self._connect(nodes, links, request, process, "near", group)
                events += _events(group, ("address:" + request.client, process))
        return Facts(list(nodes.values()), links, list(dict.fromkeys(events)))

    @staticmethod
    def _connect(
        nodes: dict[str, Node], links: list[Link], request: Request, target: str, relation: str, group: _Group
    ) -> None:
        identity = "address:" + request.client
        agent = {"agent": masked(printable(request.agent[:200]))} if request.agent not in (b"", b"-") else {}
        nodes[identity] = Node(identity, request.client, agent, group.first, group.last)
        links.append(Link(identity, target, relation, BY, group.first))


def _events(group: _Group, nodes: tuple[str, ...]) -> list[Event]:
    request = group.request
    path = printable(request.path[:_LONGEST_PATH]) + ("?…" if request.has_query else "")
    text = "%s asked for %s %s: %d" % (request.client, request.method, path, request.status)
    if group.count == 1:
        return [Event(group.first, BY, text, nodes)]
    return [
        Event(group.first, BY, text + " (the first of %d)" % group.count, nodes),
        Event(group.last, BY, text + " (the last of %d)" % group.count, nodes),
    ]


def _is_telling(wanted: Wanted, name: str) -> bool:
    facts = wanted.nodes["file:" + name].facts
    return not facts.get("package") or facts.get("verified") == "modified"


def _bytes(name: str) -> bytes:
    try:
        return unprintable(name)
    except ValueError:
        return b""


def _logs(host: Host, budget: Budget) -> list[bytes]:
    """Return the access logs that are written now; their rotated files are found by their names."""
    paths: dict[bytes, None] = {}
    for directory in _DIRECTORIES:
        try:
            names = host.names(directory)
        except OSError as error:
            if error.errno not in _safe_fs.GONE:
                budget.skip(printable(directory), _safe_fs.reason(error))
            continue
        for name in names:
            match = _ROTATED.match(name)
            base = match.group(1) if match else name
            if _ACCESS.match(base) and not _ERROR.match(base):
                paths[directory + b"/" + base] = None
    return list(paths)
