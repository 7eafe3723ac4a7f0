# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packages of an investigation: when and by whom they were installed, and files that differ from theirs."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _logfiles, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._program import MODIFIED
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import dnf_history, log_window, package_logs
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.file_facts import FileReader
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.package_logs import Change
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted
from ansible_collections.bulwark.servers.plugins.module_utils.packages.dpkg_files import parse_md5sums

SCOPE = "packages"
_LOG_LIMIT = 8 << 20
_MOST_ROTATED = 12
_MOST_CHANGES = 5
_MOST_PACKAGES = 50
_MOST_COMPARED = 200
_INFO = b"/var/lib/dpkg/info"
# Only what is executed or loaded is compared.
_CODE = (b"/usr/bin/", b"/usr/sbin/", b"/bin/", b"/sbin/", b"/usr/lib/", b"/lib/", b"/usr/libexec/", b"/opt/")

_Parse = t.Callable[[bytes, float], t.List[Change]]
_LOGS: tuple[tuple[bytes, _Parse], ...] = (
    (b"/var/log/apt/history.log", lambda content, _modified: package_logs.apt(content)),
    (b"/var/log/dpkg.log", lambda content, _modified: package_logs.dpkg(content)),
    (b"/var/log/dnf.rpm.log", package_logs.rpm),
    (b"/var/log/yum.log", package_logs.rpm),
    (b"/var/log/pacman.log", lambda content, _modified: package_logs.pacman(content)),
    (b"/var/log/zypp/history", lambda content, _modified: package_logs.zypp(content)),
)


def gather(host: Host, wanted: Wanted, budget: Budget) -> Facts:
    """Return the facts of the packages of ``wanted.new``.

    Facts of a package: changes (time, action, version, by, command), the newest first; installed: seconds since the
    epoch; compared: how many of its programs and libraries were compared; differing: those that are not as packaged.
    """
    names = wanted.names("package", only_new=True)
    if not names:
        return Facts()
    changes = _changes(host, frozenset(names[:_MOST_PACKAGES]), budget)
    if len(names) > _MOST_PACKAGES:
        text = "%d packages were not checked." % (len(names) - _MOST_PACKAGES)
        budget.cut("nodes", text, len(names) - _MOST_PACKAGES)
    facts = [_package(host, name, changes.get(name, []), budget) for name in names[:_MOST_PACKAGES]]
    return Facts(
        [node for each in facts for node in each.nodes],
        [link for each in facts for link in each.links],
        [event for each in facts for event in each.events],
    )


def _package(host: Host, name: str, changes: t.Sequence[Change], budget: Budget) -> Facts:
    identity = "package:" + name
    newest = sorted(changes, key=lambda change: -change.time)
    values: dict[str, t.Any] = {}
    shown = [_shown(change) for change in newest[:_MOST_CHANGES]]
    if shown:
        values.update(changes=shown, installed=newest[0].time)
    compared, differing = _compared(host, name, budget)
    if compared:
        values.update(compared=compared, differing=[node.label for node in differing])
    events = [Event(change.time, "package log", _sentence(name, change), (identity,)) for change in newest]
    first = min((change.time for change in changes), default=None)
    nodes = [Node(identity, name, values, first, newest[0].time if newest else None), *differing]
    return Facts(nodes, [Link(node.id, identity, "belongs_to", "packages") for node in differing], events)


def _shown(change: Change) -> dict[str, t.Any]:
    values: dict[str, t.Any] = {"time": change.time, "action": change.action, "version": printable(change.version)}
    if change.by:
        values["by"] = printable(change.by)
    if change.command:
        values["command"] = masked(printable(change.command[:1000]))[:500]
    return values


def _sentence(name: str, change: Change) -> str:
    text = "package %s %s was %s" % (name, printable(change.version), change.action)
    if change.by:
        text += " by %s" % printable(change.by)
    return text


def _changes(host: Host, names: t.AbstractSet[str], budget: Budget) -> dict[str, list[Change]]:
    """Return the changes of some packages; one that two logs have is there once, as the first has it."""
    changes: dict[str, list[Change]] = {}
    logged = (
        change
        for path, parse in _LOGS
        for content, modified in _contents(host, path, budget)
        for change in parse(content, modified)
    )
    # The history of dnf comes first, as it knows more than the log.
    for change in itertools.chain(dnf_history.read(host, names, budget), logged):
        known = changes.setdefault(change.package, []) if change.package in names else None
        if known is not None and not any(_is_same(change, other) for other in known):
            known.append(change)
    is_rpm_asked = not host.root and bool(names - changes.keys())
    for time, owned in host.packages.packages.rpm_times() if is_rpm_asked else ():
        if owned.package in names and owned.package not in changes:
            changes[owned.package] = [Change(time, "installed", owned.package, owned.version)]
    return changes


def _is_same(change: Change, other: Change) -> bool:
    is_same_end = (change.action == "removed") is (other.action == "removed")
    is_same_kind = change.action == other.action or (change.version == other.version and is_same_end)
    return is_same_kind and -5 <= change.time - other.time <= 600 and bool(other.by or other.command)


def _contents(host: Host, path: bytes, budget: Budget) -> t.Iterator[tuple[bytes, float]]:
    for name in log_window.rotated(host, path, budget)[-_MOST_ROTATED:]:
        if budget.passed():
            budget.cut(SECONDS, "%s was not read: there was no time left." % printable(path))
            return
        content = _content(host, name, budget)
        if content is not None:
            yield content


def _content(host: Host, path: bytes, budget: Budget) -> tuple[bytes, float] | None:
    try:
        with host.opened(path) as (descriptor, status):
            # The end of a log is the newest.
            offset = 0 if path.endswith(b".gz") else max(0, status.st_size - _LOG_LIMIT)
            content = _safe_fs.read_at(descriptor, offset, _LOG_LIMIT)
        if not budget.take(len(content)):
            return None
        if path.endswith(b".gz"):
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(_LOG_LIMIT)
    except _logfiles.UNREADABLE as error:
        budget.skip(printable(path), _logfiles.damage(error))
        return None
    return content, status.st_mtime


def _compared(host: Host, name: str, budget: Budget) -> tuple[int, list[Node]]:
    """Compare the programs and libraries of a dpkg package with its digests; return how many, and those that differ."""
    try:
        stems = [each for each in host.names(_INFO) if _is_of(each, os.fsencode(name))]
        paths = [path for stem in stems for path in parse_md5sums(host.read(_INFO + b"/" + stem, _LOG_LIMIT))]
    except OSError:
        return 0, []
    reader = FileReader(host, budget)
    differing, compared = [], 0
    for path in [path for path in paths if path.startswith(_CODE)][:_MOST_COMPARED]:
        if budget.passed():
            budget.cut(SECONDS, "Not all files of the package %s were compared." % name)
            break
        facts = reader.read(path)
        compared += 1
        if facts is not None and facts.verification == MODIFIED:
            label = printable(path)
            differing.append(Node("file:" + label, label, facts.values(), facts.status.st_mtime, facts.status.st_ctime))
    return compared, differing


def _is_of(file: bytes, name: bytes) -> bool:
    return file == name + b".md5sums" or (file.startswith(name + b":") and file.endswith(b".md5sums"))
