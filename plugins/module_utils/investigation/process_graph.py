# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of processes as a graph: its nodes and links are made when somebody asks for them.

A busy host has ten thousand processes in its audit records, of which an investigation names a few.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _secrets, _xattr_values
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import sign_in_helpers
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.audit_history import SignIn
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.container_paths import ContainerPaths
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    ACCEPTED,
    BOUND,
    CONNECTED,
    Contact,
    Process,
    Table,
)

# Programs whose children have nothing to do with each other.
_STARTERS = frozenset(
    b"""
    systemd init sshd sshd-session cron crond anacron atd login dropbear xinetd inetd runit runsvdir s6-svscan
    supervisord containerd-shim containerd-shim-runc-v2 runc crun conmon
    dockerd containerd tini dumb-init agetty gdm sddm lightdm
    """.split()
)
_SYSTEM = (b"/usr/", b"/bin/", b"/sbin/", b"/lib/", b"/opt/", b"/snap/", b"/nix/", b"/var/lib/rancher/")
# The kernel's threads and init.
_FIRST_PIDS = (0, 1, 2)
_MOST_CHILDREN = 24
_MOST_COMMAND = 1_024
# Programs that a process executed before the one that it runs.
_MOST_EARLIER = 4

_Ends = t.Dict[bytes, t.List[t.Tuple[Process, t.Optional[float], str]]]


class ProcessGraph:
    """Processes, files, addresses, sessions and accounts."""

    def __init__(
        self,
        table: Table,
        sign_ins: t.Sequence[SignIn],
        owner: t.Callable[[bytes], str],
        own: t.AbstractSet[int],
        real: t.Callable[[bytes], bytes] = bytes,
        containers: ContainerPaths | None = None,
    ) -> None:
        """owner: the package of a path, "" if none. own: pids of the investigation itself, which is nobody's neighbour.

        real: returns the path without merged directories. containers: know the host's paths of what containers write.
        """
        self._inside = containers if containers is not None else ContainerPaths({})
        self._owner = owner
        self._real = real
        self._sign_ins = sign_ins
        self._processes: dict[str, Process] = {}
        self._files: _Ends = collections.defaultdict(list)
        self._addresses: dict[str, list[tuple[Process, Contact]]] = collections.defaultdict(list)
        self._sessions: dict[int, list[Process]] = collections.defaultdict(list)
        self._accounts: dict[int, list[Process]] = collections.defaultdict(list)
        self._containers: dict[str, list[Process]] = collections.defaultdict(list)
        for process in table.all:
            if process.live is None or process.pid not in own:
                self._index(process)

    def _index(self, process: Process) -> None:
        self._processes[process.id] = process
        for path, time in process.executables():
            self._files[self._host_path(process, path)].append((process, time, "executes"))
        for act in self._inside.own_acts(process):
            self._files[self._host_path(process, act.path)].append((process, act.time, act.how))
        for contact in process.contacts:
            self._addresses[contact.address].append((process, contact))
        if process.session is not None:
            self._sessions[process.session].append(process)
        self._accounts[process.user].append(process)
        container = self._inside.container(process)
        if container is not None:
            self._containers[printable(container)].append(process)

    def _host_path(self, process: Process, path: bytes) -> bytes:
        return self._real(self._inside.on_host(process, path))

    def process(self, identity: str) -> Process | None:
        return self._processes.get(identity)

    def is_file(self, path: bytes) -> bool:
        """Say whether a process executed, opened or wrote a file."""
        return path in self._files

    def node(self, identity: str) -> Node | None:
        kind, _colon, value = identity.partition(":")
        if kind == "process":
            process = self._processes.get(identity)
            return None if process is None else self._process_node(process)
        if kind == "file":
            path = self._path(value)
            return self._file(identity, path) if path in self._files else None
        if kind == "address":
            return Node(identity, value, *self._times(value)) if value in self._addresses else self._source(identity)
        if kind == "session":
            return self._session(identity) if value.isdigit() else None
        if kind == "account":
            if value.isdigit() and int(value) in self._accounts:
                name = printable(activity.user_name(value.encode("ascii")))
                return Node(identity, name, {"uid": int(value), "name": name})
            return None
        if kind == "listener":
            return Node(identity, value)
        if kind == "container":
            return Node(identity, value) if value in self._containers else None
        return None

    def _process_node(self, process: Process) -> Node:
        node = process_node(process)
        if not sign_in_helpers.is_helper(process, lambda path: bool(self._owner(self._real(path)))):
            return node
        return node._replace(facts={**node.facts, "helper": True})

    @staticmethod
    def _path(value: str) -> bytes:
        try:
            return unprintable(value)
        except ValueError:
            return b""

    def _file(self, identity: str, path: bytes) -> Node:
        times = [time for _process, time, _how in self._files[path] if time is not None]
        wrote = [time for _process, time, how in self._files[path] if how == "wrote" and time is not None]
        facts = {"path": printable(path), "package": self._owner(path) or None}
        return Node(identity, printable(path), facts, min(wrote or times, default=None), max(times, default=None))

    def _times(self, address: str) -> tuple[dict[str, t.Any], float | None, float | None]:
        contacts = [contact for _process, contact in self._addresses[address]]
        times = [contact.time for contact in contacts if contact.time is not None]
        facts = {"ip": address, "ports": sorted({each.port for each in contacts if each.how == CONNECTED})[:20]}
        return facts, min(times, default=None), max(times, default=None)

    def _source(self, identity: str) -> Node | None:
        address = identity.partition(":")[2]
        times = [each.time for each in self._sign_ins if each.address == address]
        return Node(identity, address, {"ip": address}, min(times), max(times)) if times else None

    def _session(self, identity: str) -> Node | None:
        number = int(identity.partition(":")[2])
        members = self._sessions.get(number, ())
        sign_ins = [each for each in self._sign_ins if each.session == number]
        if not members and not sign_ins:
            return None
        firsts = [process.first for process in members] + [each.time for each in sign_ins]
        lasts = [process.last for process in members if process.last is not None]
        sign_in = sign_ins[0] if sign_ins else None
        facts = {
            "session": number,
            "account": printable(sign_in.account) if sign_in else None,
            "source": printable(sign_in.address) or None if sign_in else None,
            "program": printable(sign_in.program) if sign_in else None,
            "terminal": printable(sign_in.terminal) if sign_in else None,
        }
        has_live = any(process.live for process in members)
        last = None if has_live else max(lasts, default=max(firsts))
        label = "session %d" % number
        if sign_in is not None and sign_in.account:
            label += " of %s" % printable(sign_in.account)
            label += " from %s" % printable(sign_in.address) if sign_in.address else ""
        return Node(identity, label, facts, min(firsts), last, not has_live)

    def links(self, identity: str) -> t.Sequence[Link]:
        kind, _colon, value = identity.partition(":")
        if kind == "process":
            process = self._processes.get(identity)
            return [] if process is None else self._of_process(process)
        if kind == "file":
            ends = self._files.get(self._path(value), ())
            return [Link(process.id, identity, how, _by(process, time), time) for process, time, how in ends]
        if kind == "address":
            links = [_contact_link(process, contact) for process, contact in self._addresses.get(value, ())]
            links += [link for each in self._sign_ins if each.address == value for link in _sign_in_links(each)]
            return [link for link in links if identity in (link.source, link.target)]
        if kind == "session" and value.isdigit():
            number = int(value)
            links = [_member(process) for process in self._sessions.get(number, ())]
            return links + [link for each in self._sign_ins if each.session == number for link in _sign_in_links(each)]
        if kind == "account" and value.isdigit():
            number = int(value)
            links = [_runs_as(process) for process in self._accounts.get(number, ())]
            session_links = [link for each in self._sign_ins if each.login == number for link in _sign_in_links(each)]
            return links + [link for link in session_links if identity in (link.source, link.target)]
        if kind == "container":
            return [_contained(process, value) for process in self._containers.get(value, ())]
        return []

    def contacts(self, identity: str) -> list[tuple[Process, Contact]]:
        """Return the connections with an address, or the sockets of a listener, each with its process."""
        value = identity.partition(":")[2]
        if identity.startswith("listener:"):
            value = value.partition("/")[2].rpartition(":")[0].strip("[]")
        ends = self._addresses.get(value, ())
        return [end for end in ends if identity in _contact_link(*end)[:2]]

    def file_id(self, process: Process, path: bytes) -> str:
        """Return the id of a file that a process calls by a path."""
        return "file:" + printable(self._host_path(process, path))

    def _of_process(self, process: Process) -> list[Link]:
        identity = process.id
        links = [Link(identity, child.id, "started", _by(child, None), child.first) for child in process.children]
        if process.parent is not None and process.parent is not process:
            links.append(Link(process.parent.id, identity, "started", _by(process, None), process.first))
        for path, time in process.executables():
            links.append(Link(identity, self.file_id(process, path), "executes", _by(process, time), time))
        acts = self._inside.own_acts(process)
        links += [Link(identity, self.file_id(process, act.path), act.how, "audit", act.time) for act in acts]
        links += [_contact_link(process, contact) for contact in process.contacts]
        links.append(_runs_as(process))
        if process.session is not None:
            links.append(_member(process))
        container = self._inside.container(process)
        if container is not None:
            links.append(_contained(process, printable(container)))
        return links


def process_node(process: Process) -> Node:
    """Return a process with what is known without another look at it."""
    live = process.live
    name = printable(process.name) or "a process"
    facts: dict[str, t.Any] = {
        "pid": process.pid,
        "ppid": process.parent.pid if process.parent is not None else process.ppid,
        "name": name,
        "path": printable(process.exe) or None,
        "command_line": command_line(process.arguments) or None,
        "uid": process.user,
        "user": printable(activity.user_name(b"%d" % process.user)),
        "login_uid": process.login,
        "session": process.session,
        "starts_jobs": starts_jobs(process),
        "script": printable(process.script) or None,
        "starts_many": starts_many(process),
    }
    earlier = [command_line(program.arguments) for program in process.programs[:-1] if program.raw]
    if earlier:
        facts["earlier"] = earlier[-_MOST_EARLIER:]
    if live is not None:
        facts.update(
            state=live.state,
            cgroup=printable(live.group) or None,
            container=printable(live.container) if live.container else None,
            deleted=live.deleted,
            capabilities=[_xattr_values.capability_name(bit) for bit in _xattr_values.bits(live.capabilities)],
        )
    return Node(process.id, "%s (%d)" % (name, process.pid), facts, process.first, process.last, live is None)


def command_line(arguments: bytes) -> str:
    """Return arguments as a text that is safe to show, without passwords and keys."""
    text = arguments.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "surrogateescape")
    return printable(_secrets.masked(text[:_MOST_COMMAND]))


def starts_jobs(process: Process) -> bool:
    """Say whether a process starts what has nothing to do with each other: init, servers for sign-ins, cron, shims."""
    if process.pid in _FIRST_PIDS or (process.name in _STARTERS and _is_of_system(process)):
        return True
    # A server for sign-ins gives each child another session of audit(7).
    sessions = {child.session for child in process.children if child.session is not None}
    if len(sessions) > 1:
        return True
    # What starts the servers of a container is often a shell.
    leaders = [each for each in process.children if each.live is not None and each.live.sid == each.pid]
    return len(leaders) > 2 and _is_of_system(process)


def starts_many(process: Process) -> bool:
    """Say whether a process has so many children that they may have nothing to do with each other."""
    return len(process.children) > _MOST_CHILDREN


def _is_of_system(process: Process) -> bool:
    """Say whether the program is where the system has its own: an intruder gives any name to theirs."""
    if process.exe:
        return process.exe.startswith(_SYSTEM)
    return process.user == 0


def _by(process: Process, time: float | None) -> str:
    return "audit" if time is not None or process.live is None else "proc"


def _contact_link(process: Process, contact: Contact) -> Link:
    if contact.how == BOUND:
        protocol = contact.protocol or "tcp"
        address = "[%s]" % contact.address if ":" in contact.address else contact.address
        return Link(
            process.id, "listener:%s/%s:%d" % (protocol, address, contact.port), "listens", contact.by, contact.time
        )
    address = "address:" + contact.address
    if contact.how == ACCEPTED:
        return Link(address, process.id, "connected", contact.by, contact.time)
    return Link(process.id, address, "connected", contact.by, contact.time)


def _runs_as(process: Process) -> Link:
    return Link(process.id, "account:%d" % process.user, "runs_as", _by(process, None))


def _member(process: Process) -> Link:
    return Link(process.id, "session:%d" % (process.session or 0), "belongs_to", _by(process, None), process.first)


def _contained(process: Process, container: str) -> Link:
    return Link(process.id, "container:" + container, "belongs_to", "proc")


def _sign_in_links(sign_in: SignIn) -> list[Link]:
    session = "session:%d" % sign_in.session
    links = []
    if sign_in.address:
        links.append(Link("address:" + printable(sign_in.address), session, "signed_in", "audit", sign_in.time))
    if sign_in.login is not None:
        account = "account:%d" % sign_in.login
        links.append(Link(account, session, "signed_in", "audit", sign_in.time))
        links.append(Link(session, account, "runs_as", "audit", sign_in.time))
    return links
