# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of an investigation: from where, with which key, and which key file let somebody in."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.accounts_table import Accounts
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Link, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence import keys
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.sign_in_logs import Became, Found, SignIn
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import is_address

_LOGIND = b"/run/systemd/sessions"
_MOST_SESSIONS = 2_000
_MOST_KEY_FILE = 1 << 20
_KEY_FILES = (b".ssh/authorized_keys", b".ssh/authorized_keys2")
_FIELD = re.compile(r"^([A-Z_]+)=(.*)$", re.MULTILINE)


def read_open(host: Host, budget: Budget) -> dict[str, dict[str, str]]:
    """Return what logind keeps of each session that is open (/run/systemd/sessions)."""
    try:
        names = host.names(_LOGIND)
    except OSError as error:
        if error.errno not in _safe_fs.GONE:
            budget.skip(printable(_LOGIND), _safe_fs.reason(error))
        return {}
    sessions = {}
    for name in names[:_MOST_SESSIONS]:
        if not name.endswith(b".ref"):
            with contextlib.suppress(OSError):
                content = host.read(_LOGIND + b"/" + name, 65_536).decode("utf-8", "surrogateescape")
                sessions[printable(name)] = dict(_FIELD.findall(content))
    return sessions


def gather(
    host: Host, table: Accounts, records: Found, live: t.Mapping[str, t.Mapping[str, str]], budget: Budget
) -> Facts:
    """Return the sessions of all sign-ins, and those that are open. live: as ``read_open`` returns them."""
    leaders = {fields.get("LEADER", ""): number for number, fields in live.items()}
    nodes: dict[str, Node] = {}
    links: list[Link] = []
    events: list[Event] = []
    for sign_in in records.sign_ins:
        # As logind knows them that are open, so does everything else from here on.
        sign_in.session = sign_in.session or leaders.get(str(sign_in.pid), "")
        identity = _identity(sign_in)
        _add_session(identity, sign_in, table, nodes, links, events)
        by = "key " + sign_in.key
        files = _key_files(host, table, sign_in, budget)
        links.extend(Link(identity, "startup:" + name, "mentions", by, sign_in.time) for name in files)
    for number, fields in live.items():
        identity = "session:" + number
        if identity not in nodes:
            _add_session(identity, _of_logind(fields), table, nodes, links, events)
    return Facts(list(nodes.values()), links, events)


def open_at(records: Found, became: Became) -> str | None:
    """Return the id of the session in which an account became another one: its newest that was open then."""
    begun = [
        sign_in
        for sign_in in records.sign_ins
        if sign_in.user == became.user
        and sign_in.time <= became.time
        and (sign_in.end is None or sign_in.end >= became.time)
    ]
    return _identity(max(begun, key=lambda sign_in: sign_in.time)) if begun else None


def _identity(sign_in: SignIn) -> str:
    number = printable(sign_in.session)
    return "session:%s" % (number or "%s %d at %d" % (sign_in.service, sign_in.pid, sign_in.time))


def _of_logind(fields: t.Mapping[str, str]) -> SignIn:
    text = fields.get("REALTIME", "")
    time = _number(text, 17) / 1e6
    source = fields.get("REMOTE_HOST", "")
    return SignIn(
        time,
        fields.get("USER", "") or fields.get("UID", ""),
        source,
        fields.get("SERVICE", ""),
        _number(fields.get("LEADER", ""), 10),
        terminal=fields.get("TTY", ""),
        by=["logind"],
    )


def _number(text: str, most: int) -> int:
    """Return a number of at most so many digits, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= most else 0


def _add_session(
    identity: str,
    sign_in: SignIn,
    table: Accounts,
    nodes: dict[str, Node],
    links: list[Link],
    events: list[Event],
) -> None:
    user, source, by = printable(sign_in.user), printable(sign_in.source), ", ".join(sign_in.by)
    values = {
        "user": user,
        "source": source,
        "service": printable(sign_in.service),
        "method": printable(sign_in.method),
        "key": sign_in.key,
        "terminal": printable(sign_in.terminal),
        "leader": sign_in.pid,
        "ended": sign_in.end,
        "by": sign_in.by,
    }
    facts = {name: value for name, value in values.items() if value}
    label = "session of %s%s" % (user, " from " + source if source else "")
    time = sign_in.time or None
    nodes[identity] = Node(identity, label, facts, time, sign_in.end)
    about = [identity]
    if is_address(sign_in.source):
        address = "address:" + source
        nodes.setdefault(address, Node(address, source))
        links.append(Link(address, identity, "signed_in", by, time))
        about.append(address)
    uid = table.uid(sign_in.user)
    if uid is not None:
        links.append(Link(identity, "account:%d" % uid, "runs_as", by, time))
    if time is not None:
        how = " with the key " + sign_in.key if sign_in.key else " (%s)" % printable(sign_in.method or sign_in.service)
        where = " from " + source if source else ""
        events += [Event(time, each, "%s signed in%s%s" % (user, where, how), tuple(about)) for each in sign_in.by]


def _key_files(host: Host, table: Accounts, sign_in: SignIn, budget: Budget) -> list[str]:
    """Return the key files of the account that have the key of a sign-in."""
    account = table.by_name.get(sign_in.user)
    if account is None or not sign_in.key:
        return []
    key_files = []
    for name in _KEY_FILES:
        path = account.home.rstrip(b"/") + b"/" + name
        try:
            content = host.read(path, _MOST_KEY_FILE)
        except OSError as error:
            if error.errno not in _safe_fs.GONE:
                budget.skip(printable(path), _safe_fs.reason(error))
            continue
        if any(key.fingerprint == sign_in.key for key in keys.parse(content)):
            key_files.append(printable(path))
    return key_files
