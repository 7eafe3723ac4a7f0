# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look closer at connected processes: what they really execute, libraries, open files, names of variables."""

from __future__ import annotations

import contextlib
import os
import re
import stat as stat_module
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_status, _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    MODIFIED,
    NO_DIGEST,
    UNKNOWN,
    UNPACKAGED,
    VERIFIED,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import connections
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, SIZE, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted

SCOPE = "processes"
_MOST_TEXT = 1 << 18
_MOST_DESCRIPTORS = 1_024
_MOST_LIBRARIES = 64
_MOST_NAMES = 200
_DELETED = b" (deleted)"
_MAPPED = re.compile(rb"^\S+ ..x\S \S+ \S+ [1-9]\d*\s+(/[^\n]*)$", re.MULTILINE)
# open(2) with O_TMPFILE: the kernel shows the number of a file that never had a name.
_NEVER_NAMED = re.compile(rb"/#\d{1,20} \(deleted\)\Z")
# The kernel escapes a newline in a path; it has no other escapes there.
_NEWLINE = rb"\012"
# Files that belong to the system itself, whoever has them open.
_ORDINARY = (b"/dev/", b"/proc/", b"/sys/", b"/var/log/journal/")
_NOT_ORDINARY = (b"/dev/shm/",)


def gather(host: Host, wanted: Wanted, budget: Budget) -> Facts:
    """Return more about the processes of ``wanted.new`` that run, and the routes to its addresses."""
    nodes: list[Node] = []
    links: list[Link] = []
    root = os.open(host.proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for identity in sorted(wanted.new):
            if budget.passed():
                budget.cut(SECONDS, "Not all processes were examined in detail.")
                break
            node = wanted.nodes.get(identity)
            if node is not None and node.kind == "process" and not node.gone:
                _look(root, host, node, budget, nodes, links)
    finally:
        os.close(root)
    routes = connections.routes(host)
    for address in wanted.names("address", only_new=True):
        with contextlib.suppress(ValueError):
            route = connections.route_to(address, routes)
            if route is not None:
                by = "by %s" % route.interface + (" through %s" % route.gateway if route.gateway else "")
                nodes.append(Node("address:" + address, address, {"route": by}))
    return Facts(nodes, links)


def _look(root: int, host: Host, node: Node, budget: Budget, nodes: list[Node], links: list[Link]) -> None:
    pid, _at, ticks = node.id.partition(":")[2].partition("@")
    try:
        directory = _procfs.open_process(root, int(pid))
    except (OSError, ValueError):
        budget.skip("process %s" % pid, "it ended while it was read")
        return
    try:
        stat = _proc_status.parse_stat(_procfs.once(b"stat", directory))
        if stat is None or str(stat.started) != ticks:
            budget.skip("process %s" % pid, "it ended while it was read; another one has its number")
            return
        budget.examined += 1
        facts: dict[str, t.Any] = {}
        _environment(directory, facts)
        _executable(directory, host, budget, facts)
        _libraries(directory, host, node.id, facts, nodes, links)
        _descriptors(directory, node.id, facts, nodes, links)
        nodes.append(node._replace(facts=facts))
    except OSError as error:
        budget.skip("process %s" % pid, _safe_fs.reason(error))
    finally:
        os.close(directory)


def _environment(directory: int, facts: dict[str, t.Any]) -> None:
    """Note the names of variables, never a value: those may be passwords and keys."""
    with contextlib.suppress(OSError):
        text, is_whole = _procfs.whole(b"environ", directory, _MOST_TEXT)
        names = [printable(entry.partition(b"=")[0][:100]) for entry in text.split(b"\0") if b"=" in entry]
        facts["environment"] = sorted(set(names))[:_MOST_NAMES]
        facts["environment_is_whole"] = is_whole and len(names) <= _MOST_NAMES


def _executable(directory: int, host: Host, budget: Budget, facts: dict[str, t.Any]) -> None:
    """Note the digest of what the process executes, also if the file has no name any more, and its package."""
    with contextlib.suppress(OSError):
        path = os.readlink(b"exe", dir_fd=directory)
        # The link leads to the executable itself, whatever has its name now; it is opened for reading only.
        pinned = os.open(b"exe", os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
        try:
            status = os.fstat(pinned)
            if not stat_module.S_ISREG(status.st_mode):
                return
            if not budget.take(status.st_size):
                budget.cut(SIZE, "The digest of %s was not taken." % printable(path))
                return
            descriptor = os.open(b"exe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(pinned)
        try:
            digests = host.packages.digests(descriptor) if _is_same(status, os.fstat(descriptor)) else None
            facts["sha256"] = (digests or {}).get("sha256")
            owned = host.packages.owned(path[: -len(_DELETED)] if path.endswith(_DELETED) else path)
            facts["package"] = printable(owned.label) if owned is not None else None
            if owned is None:
                facts["verified"] = UNPACKAGED
            elif not owned.digests:
                facts["verified"] = NO_DIGEST
            elif digests is None:
                facts["verified"] = UNKNOWN
            else:
                facts["verified"] = VERIFIED if owned.has_content(digests) else MODIFIED
            facts["set_id"] = bool(status.st_mode & (stat_module.S_ISUID | stat_module.S_ISGID))
        finally:
            os.close(descriptor)


def _is_same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)


def _libraries(
    directory: int, host: Host, identity: str, facts: dict[str, t.Any], nodes: list[Node], links: list[Link]
) -> None:
    """Link the files whose code is mapped and that no package has; the others are counted."""
    with contextlib.suppress(OSError):
        text, _is_whole = _procfs.whole(b"maps", directory, _MOST_TEXT * 4)
        program = os.readlink(b"exe", dir_fd=directory)
        paths = {path.replace(_NEWLINE, b"\n") for path in _MAPPED.findall(text)} - {program}
        packaged = 0
        foreign: list[bytes] = []
        for path in sorted(paths):
            plain = path[: -len(_DELETED)] if path.endswith(_DELETED) else path
            if host.packages.owned(plain) is not None and plain == path:
                packaged += 1
            else:
                foreign.append(plain)
        facts["libraries"] = {"packaged": packaged, "others": len(foreign)}
        _link_files(foreign[:_MOST_LIBRARIES], identity, "loaded", nodes, links)


def _descriptors(directory: int, identity: str, facts: dict[str, t.Any], nodes: list[Node], links: list[Link]) -> None:
    """Link the regular files that are open; those for writing count as written."""
    wrote: set[bytes] = set()
    opened: set[bytes] = set()
    others: list[str] = []
    with contextlib.suppress(OSError):
        names = _procfs.listed(b"fd", directory)
        for name in names[:_MOST_DESCRIPTORS]:
            with contextlib.suppress(OSError):
                link = b"fd/" + name.encode("ascii")
                target = os.readlink(link, dir_fd=directory)
                if target.startswith(b"/memfd:") or target.endswith(_DELETED):
                    others.append(printable(target))
                if not target.startswith(b"/") or target.startswith(b"/memfd:"):
                    continue
                if target.startswith(_ORDINARY) and not target.startswith(_NOT_ORDINARY):
                    continue
                # proc_pid_fd(5): the rights of the link are those that the file was opened with.
                is_writable = os.stat(link, dir_fd=directory, follow_symlinks=False).st_mode & stat_module.S_IWUSR
                if _NEVER_NAMED.search(target):
                    continue
                path = target[: -len(_DELETED)] if target.endswith(_DELETED) else target
                (wrote if is_writable else opened).add(path)
        facts["open_files"] = len(names)
        if others:
            facts["without_name"] = sorted(set(others))[:20]
    _link_files(sorted(wrote), identity, "wrote", nodes, links)
    _link_files(sorted(opened - wrote), identity, "opened", nodes, links)


def _link_files(paths: t.Sequence[bytes], identity: str, relation: str, nodes: list[Node], links: list[Link]) -> None:
    for path in paths:
        name = printable(path)
        nodes.append(Node("file:" + name, name))
        links.append(Link(identity, "file:" + name, relation, "proc"))
