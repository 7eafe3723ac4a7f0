# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of an investigation: who signed in from where, with which key, and what they did as somebody else."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import (
    accounts_table,
    model,
    sessions,
    sign_in_logs,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.accounts_table import Account, Accounts
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.sign_in_logs import Found
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted, Window
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import is_address

SCOPE = "accounts"
# A session may have begun long before what was done in it; the other sessions of its account and source are of interest
# for as long.
_BEFORE = 7 * 86_400.0
_MOST_WINDOWS = 6
# systemd.special(7): the scope of a session has the name that logind gave it.
_SCOPE = re.compile(r"/session-(\w{1,20})\.scope(?:/|\Z)")
_UNITS = "/etc/systemd/system"
_TARGETS = {
    "service": "multi-user.target",
    "timer": "timers.target",
    "socket": "sockets.target",
    "path": "paths.target",
}
# Of a command, in which files are looked for.
_MOST_WORDS = 50
_SHADOW_LIMIT = 4 << 20


def gather(host: Host, wanted: Wanted, budget: Budget) -> Facts:
    """Return the accounts of ``wanted.new``, and in round 0 all sessions from seven days before it until now.

    Facts of an account: name, uid, gid, home, shell, groups, password (``set``, ``none`` or ``locked``), changed (when
    the password was), same_uid (other names of the number), failed_sign_ins, last_sign_in. Facts of
    a session: user, source, service, method, key (a fingerprint), terminal, leader, ended, by (the logs that have it).
    """
    table = accounts_table.read(host, budget)
    parts = [_accounts(host, wanted, table, budget), _of_processes(wanted)]
    if wanted.round == 0 and wanted.windows:
        records = sign_in_logs.read(host, ranges(wanted.windows, host.now), budget)
        parts += [
            sessions.gather(host, table, records, sessions.read_open(host, budget), budget),
            _became(wanted, table, records),
        ]
        parts.append(_failures(table, records))
    return Facts(
        [node for part in parts for node in part.nodes],
        [link for part in parts for link in part.links],
        [event for part in parts for event in part.events],
    )


def ranges(windows: t.Sequence[Window], now: float) -> list[Window]:
    """Return the time ranges to read, the most important first: the newest windows, later ones, a week before."""
    chosen = list(windows[-_MOST_WINDOWS:])
    first, last = chosen[-1][0] - _BEFORE, max(chosen[-1][1], now)
    gaps: list[Window] = []
    begin = first
    for window in chosen:
        if window[0] > begin:
            gaps.append((begin, window[0]))
        begin = max(begin, window[1])
    if last > begin:
        gaps.append((begin, last))
    return [*reversed(chosen), *reversed(gaps)]


def _of_processes(wanted: Wanted) -> Facts:
    """Connect processes with the session that systemd has them in, where no record of audit(7) says it."""
    links = []
    for identity in sorted(wanted.new):
        node = wanted.nodes[identity]
        match = _SCOPE.search(str(node.facts.get("cgroup") or "")) if node.kind == "process" else None
        if match:
            links.append(Link(identity, "session:" + match.group(1), "belongs_to", "cgroup", node.first))
    return Facts(links=links)


def _accounts(host: Host, wanted: Wanted, table: Accounts, budget: Budget) -> Facts:
    uids = [int(name) for name in wanted.names("account", only_new=True) if name.isascii() and name.isdigit()]
    if not uids:
        return Facts()
    members = _read(host, b"/etc/group", budget)
    groups = accounts_table.groups(members)
    passwords = _passwords(_read(host, b"/etc/shadow", budget))
    nodes = []
    for uid in uids:
        account = table.by_uid.get(uid)
        if account is None:
            nodes.append(Node("account:%d" % uid, "uid %d" % uid, {"uid": uid, "unknown": True}))
        else:
            node = _account_node(account, table, groups, passwords)
            last = sign_in_logs.last_sign_in(host, uid)
            nodes.append(node if last is None else node._replace(facts={**node.facts, "last_sign_in": last}))
    return Facts(nodes)


def _account_node(
    account: Account,
    table: Accounts,
    groups: t.Mapping[str, set[str]],
    passwords: t.Mapping[str, t.Mapping[str, t.Any]],
) -> Node:
    others = [other.name for other in table.entries if other.uid == account.uid and other.name != account.name]
    facts: dict[str, t.Any] = {
        "name": printable(account.name),
        "uid": account.uid,
        "gid": account.gid,
        "home": printable(account.home),
        "shell": printable(account.shell),
        "groups": sorted(printable(name) for name, members in groups.items() if account.name in members),
        **passwords.get(account.name, {}),
    }
    if others:
        facts["same_uid"] = [printable(name) for name in others[:20]]
    return Node("account:%d" % account.uid, printable(account.name), facts)


def _passwords(shadow: bytes) -> dict[str, dict[str, t.Any]]:
    """Return whether accounts have a password (shadow(5)), and when it was changed; never its hash."""
    facts: dict[str, dict[str, t.Any]] = {}
    for line in shadow.split(b"\n"):
        fields = line.split(b":")
        if len(fields) < 3:
            continue
        state = "none" if not fields[1] else "locked" if fields[1][:1] in b"!*" else "set"
        values: dict[str, t.Any] = {"password": state}
        if fields[2].isdigit() and len(fields[2]) < 7:
            values["changed"] = int(fields[2]) * 86_400.0
        facts[fields[0].decode("utf-8", "surrogateescape")] = values
    return facts


def _read(host: Host, path: bytes, budget: Budget) -> bytes:
    try:
        return host.read(path, _SHADOW_LIMIT)
    except OSError as error:
        if error.errno not in _safe_fs.GONE:
            budget.skip(printable(path), _safe_fs.reason(error))
        return b""


def _became(wanted: Wanted, table: Accounts, records: Found) -> Facts:
    """Return the acts of accounts under another account, near in time."""
    events, links = [], []
    for became in records.became:
        uids = [table.uid(name) for name in (became.user, became.target)]
        about = ["account:%d" % uid for uid in uids if uid is not None]
        program = became.command.split(" ", 1)[0]
        if program.startswith("/"):
            about.append("file:" + printable(program))
        session = sessions.open_at(records, became)
        if session is not None and wanted.is_near(became.time):
            by = model.BY_SUDO + became.by
            paths = _enabled(became.command)
            paths += [word for word in became.command.split(None, _MOST_WORDS)[1:] if word.startswith("/")]
            links += [Link(session, "file:" + printable(path), "mentions", by, became.time) for path in paths]
        if about and wanted.is_near(became.time):
            command = masked(printable(became.command[:1000]))[:300]
            text = "%s ran as %s: %s" % (printable(became.user), printable(became.target), command)
            events.append(Event(became.time, "sudo, " + became.by, text, tuple(about)))
    return Facts(links=links, events=events)


def _enabled(command: str) -> list[str]:
    """Return the links that ``systemctl enable`` makes, by the targets that systemd.special(7) has for each kind."""
    words = command.split(None, _MOST_WORDS)
    if not words or not words[0].endswith("/systemctl") or not {"enable", "reenable", "disable"} & set(words):
        return []
    suffixes = ((word, word.rpartition(".")[2]) for word in words[1:] if "/" not in word)
    return ["%s/%s.wants/%s" % (_UNITS, _TARGETS[kind], word) for word, kind in suffixes if kind in _TARGETS]


def _failures(table: Accounts, records: Found) -> Facts:
    """Return how many sign-ins of each source and account failed, for those that are there."""
    sources: dict[str, int] = {}
    users: dict[int, int] = {}
    for (source, user), count in records.failed.items():
        if is_address(source):
            sources[source] = sources.get(source, 0) + count
        uid = table.uid(user) if user in table.by_name else None
        if uid is not None:
            users[uid] = users.get(uid, 0) + count
    nodes = [
        Node("address:" + printable(name), printable(name), {"failed_sign_ins": count})
        for name, count in sources.items()
    ]
    nodes += [
        Node("account:%d" % uid, printable(table.by_uid[uid].name), {"failed_sign_ins": count})
        for uid, count in users.items()
    ]
    return Facts(nodes)
