# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the index of observables: which findings and hosts have something in common.

A path, a process or an account that more than ``WEAK_HOSTS`` hosts have connects none of them: it is what these hosts
have, not what happened there. Digests, addresses, names of machines and keys connect any number of hosts.
"""

from __future__ import annotations

import collections
import contextlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import query, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Query
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.scope_model import Elsewhere, SharedObservable

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

WEAK_HOSTS = 20
# Hosts that are named; of the others there is a number.
HOSTS_NAMED = 20


class _Counts(t.NamedTuple):
    hosts: int
    findings: int


def of_findings(connection: sa.Connection, wanted: Query, now: float) -> list[SharedObservable]:
    """Return the observables that the findings of a query share with findings on other hosts, in the query's order."""
    columns = tables().findings.c
    statement = query.selected(connection, wanted, now, columns.uid, columns.host, columns.event)
    shown = [
        (row.uid, row.host, observables.linking(observables.of_event(json.loads(row.event))))
        for row in connection.execute(statement, execution_options=query.STREAMED)
    ]
    known = _elsewhere(connection, _counted(connection, {key for _uid, _host, links in shown for key in links}))
    return [
        SharedObservable(
            uid=uid,
            host=host,
            name=observable.name,
            type=observables.TYPES[observable.type_id],
            value=observable.value,
            **_fields(known[key].without(host)),
        )
        for uid, host, links in shown
        for key, observable in links.items()
        if key in known
    ]


def of_all(connection: sa.Connection) -> dict[str, dict[int, Elsewhere]]:
    """Return for each finding that shares observables with other hosts these, by their keys, with all their hosts."""
    rows = tables().observables
    known = _elsewhere(connection, _connecting(_counts(connection, None)))
    by_uid: dict[str, dict[int, Elsewhere]] = collections.defaultdict(dict)
    for part in sql.parts(sorted(known)):
        for key, uid in connection.execute(sa.select(rows.c.key, rows.c.uid).where(rows.c.key.in_(part))):
            by_uid[uid][key] = known[key]
    return by_uid


def keys_of_findings(connection: sa.Connection, uids: t.Sequence[str]) -> list[int]:
    """Return the keys of the observables that connect findings with others; raise StoreError for an unknown finding."""
    columns = tables().findings.c
    known = {
        row.uid: row.event
        for part in sql.parts(uids)
        for row in connection.execute(sa.select(columns.uid, columns.event).where(columns.uid.in_(part)))
    }
    missing = [uid for uid in uids if uid not in known]
    if missing:
        raise StoreError(
            f"there is no finding '{missing[0]}' in the store; take the uid of one that findings_info lists"
        )
    events = map(json.loads, known.values())
    keys = {key for event in events for key in observables.linking(observables.of_event(event))}
    counted = _counted(connection, keys)
    return sorted(key for key in keys if key not in counted or _connects(key, counted[key]))


def _fields(elsewhere: Elsewhere) -> dict[str, t.Any]:
    return {
        "hosts": elsewhere.hosts[:HOSTS_NAMED],
        "host_count": elsewhere.host_count,
        "finding_count": elsewhere.finding_count,
    }


def _counted(connection: sa.Connection, keys: t.Collection[int]) -> dict[int, _Counts]:
    """Return those of some keys that findings on several hosts have, with how many hosts and findings have them."""
    counted: dict[int, _Counts] = {}
    for part in sql.parts(sorted(keys)):
        counted |= _counts(connection, part)
    return counted


def _counts(connection: sa.Connection, keys: t.Sequence[int] | None) -> dict[int, _Counts]:
    """Return the keys that findings on several hosts have, of these or of all."""
    rows = tables().observables
    number = sa.func.count(sa.distinct(rows.c.host))
    statement = sa.select(rows.c.key, number, sa.func.count()).where(rows.c.host != FLEET).group_by(rows.c.key)
    if keys is not None:
        statement = statement.where(rows.c.key.in_(keys))
    several = statement.having(sa.func.min(rows.c.host) != sa.func.max(rows.c.host))
    return {key: _Counts(hosts, findings) for key, hosts, findings in connection.execute(several)}


def _connects(key: int, counts: _Counts) -> bool:
    return counts.hosts <= WEAK_HOSTS or observables.type_of(key) not in observables.WEAK


def _connecting(counted: t.Mapping[int, _Counts]) -> dict[int, _Counts]:
    return {key: counts for key, counts in counted.items() if _connects(key, counts)}


def _elsewhere(connection: sa.Connection, counted: t.Mapping[int, _Counts]) -> dict[int, Elsewhere]:
    """Return the hosts of those of the keys that connect; one more than are named, as one is the finding's own."""
    named: dict[int, list[str]] = collections.defaultdict(list)
    counted = _connecting(counted)
    rows = tables().observables
    few = sorted(key for key, counts in counted.items() if counts.hosts <= HOSTS_NAMED + 1)
    hosts = sa.select(rows.c.key, rows.c.host).where(rows.c.host != FLEET).distinct()
    for part in sql.parts(few):
        for key, host in connection.execute(hosts.where(rows.c.key.in_(part)).order_by(rows.c.key, rows.c.host)):
            named[key].append(host)
    for key in counted.keys() - set(few):
        first = hosts.where(rows.c.key == key).order_by(rows.c.host).limit(HOSTS_NAMED + 1)
        named[key] += [host for _key, host in connection.execute(first)]
    return {key: Elsewhere(tuple(named[key]), counts.hosts, counts.findings) for key, counts in counted.items()}
