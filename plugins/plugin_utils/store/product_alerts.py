# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the findings that a security product has dealt with by the product's own id of the alert.

A product may close an alert with less than it raised it with, such as without the file, which makes another subject.
"""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence, security_product
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import Observation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.lifecycle import State
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_MEMBER = '"alert_uid":'

# By alert and subject.
Reasons = dict[tuple[str, str], str]


def dealt_with(
    connection: sa.Connection,
    remediated: t.Sequence[t.Mapping[str, t.Any]],
    reasons: t.Mapping[tuple[str, str], str],
    states: t.Collection[State],
    observed: t.Mapping[str, Observation],
) -> Reasons:
    """Return why further findings of a host are dealt with: those whose newest alert has the id of one that is.

    remediated: as in ``CapabilityResult``; reasons: of ``read_ended`` for it. states: all findings of the host.
    observed: what a run saw of them, by uid. Raises StoreError for an id that is none.
    """
    known = {(state.alert, state.subject) for state in states}
    wanted: dict[tuple[str, str], str] = {}
    for entry in remediated:
        key = (evidence.name(entry["alert"]), evidence.name(entry["subject"]))
        uid = _alert_uid(entry)
        if uid is not None and key not in known:
            wanted[_origin(key[1]), uid] = reasons[key]
    if not wanted:
        return {}
    origins = {origin for origin, _uid in wanted}
    candidates = {
        state.uid: state
        for state in states
        if state.lifecycle == "event" and state.status in ACTIVE and _origin(state.subject) in origins
    }
    ended: Reasons = {}
    for uid, event in _events(connection, list(candidates), observed):
        state, alert_uid = candidates[uid], json.loads(event)["unmapped"].get("product", {}).get("alert_uid")
        reason = wanted.get((_origin(state.subject), alert_uid))
        if reason is not None:
            ended[state.alert, state.subject] = reason
    return ended


def _alert_uid(entry: t.Mapping[str, t.Any]) -> str | None:
    try:
        return security_product.alert_uid(entry.get("alert_uid"))
    except evidence.UnfitError as error:
        raise StoreError(f"an alert that is dealt with has an unusable id: {error}") from error


def _events(
    connection: sa.Connection, uids: t.Sequence[str], observed: t.Mapping[str, Observation]
) -> t.Iterator[tuple[str, str]]:
    """Yield the events that may have an alert's id, as they are after this run."""
    columns = tables().findings.c
    for uid in uids:
        if uid in observed and _MEMBER in observed[uid].event:
            yield uid, observed[uid].event
    for part in sql.parts([uid for uid in uids if uid not in observed]):
        query = sa.select(columns.uid, columns.event).where(
            columns.uid.in_(part), columns.event.contains(_MEMBER, autoescape=True)
        )
        yield from ((uid, event) for uid, event in connection.execute(query))


def _origin(subject: str) -> str:
    """Return what a subject begins with: the product, and whether a console or the host has reported it.

    So a host cannot close what the console of another product, or its own, has raised.
    """
    return subject.partition(": ")[0]
