# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the results of one host change in its controls and its inventory, collected in memory and written at once."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import control_results, coverage, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.control_results import (
    ContainerResult,
    ControlResult,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import CapabilityResult
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Capability, benchmark, subject and control.
Key = tuple[str, str, str, str]
# Capability, benchmark and subject.
_Judged = tuple[str, str, str]
# Capability and subject, of an inventory.
_Inventory = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class _State:
    """What a new result of a control needs of the one before. size: of its lists, in characters."""

    scope: str
    status: str
    since: float
    previous_status: str | None
    previous_since: float | None
    run_id: str
    new_items: frozenset[str]
    size: int


class ControlLog:
    """The part of a host's record that is about controls and containers."""

    def __init__(
        self, connection: sa.Connection, run_id: str, host: str, results: t.Sequence[CapabilityResult], now: float
    ) -> None:
        self._connection, self._run_id, self._host, self._now = connection, run_id, host, now
        capabilities = list(dict.fromkeys(result.capability for result in results))
        self._stored = _stored_controls(connection, run_id, host, capabilities)
        # An inventory is of subjects that controls are about.
        has_inventory = bool(self._stored) or any(result.containers for result in results)
        self._inventories = _stored_inventories(connection, host, capabilities) if has_inventory else {}
        self._written: dict[Key, tuple[ControlResult, _State]] = {}
        self._removed: set[Key] = set()
        self._judged: dict[_Judged, list[ControlResult]] = {}
        self._listed: dict[_Inventory, list[ContainerResult]] = {}
        self._unlisted: set[_Inventory] = set()

    def add_controls(
        self, capability: str, results: t.Sequence[ControlResult], entries: t.Sequence[coverage.Entry]
    ) -> None:
        """Take the controls of a result, and remove those of subjects that are gone.

        A subject that was judged has the controls of this result and no others. Raises StoreError, and takes nothing,
        for more than is kept of a host.
        """
        added = {(capability, result.benchmark, result.subject, result.control): result for result in results}
        judged = {key[:3] for key in added}
        gone = {
            key
            for key, state in self._stored.items()
            if key[0] == capability
            and key not in added
            and (key[:3] in judged or coverage.shows_gone(entries, state.scope, key[2]))
        }
        self._refuse_too_many(capability, added, gone)
        for key in gone:
            del self._stored[key]
            self._written.pop(key, None)
        self._removed |= gone
        self._removed -= added.keys()
        self._judged.update((subject, [added[key] for key in added if key[:3] == subject]) for subject in judged)
        for key, result in added.items():
            state = _state(self._stored.get(key), result, self._run_id, self._now)
            self._stored[key] = state
            self._written[key] = (result, state)

    def add_containers(
        self, capability: str, results: t.Sequence[ContainerResult], entries: t.Sequence[coverage.Entry]
    ) -> None:
        """Take the inventory of a result in place of the one before; that of a subject that was skipped stays.

        So does that of one whose containers were skipped, which the coverage names with the subject.
        """
        added: dict[_Inventory, list[ContainerResult]] = collections.defaultdict(list)
        for result in results:
            added[capability, result.subject].append(result)
        skipped = [each["subject"] for entry in entries for each in entry["skipped"]]
        for key, scope in list(self._inventories.items()):
            is_gone = coverage.shows_gone(entries, scope, key[1]) and not any(key[1] in name for name in skipped)
            if key[0] == capability and key not in added and is_gone:
                del self._inventories[key]
                self._listed.pop(key, None)
                self._unlisted.add(key)
        for key, containers in added.items():
            self._inventories[key] = containers[0].scope
            self._listed[key] = containers

    def write(self) -> None:
        """Write what was taken."""
        _delete(self._connection, self._host, self._removed)
        rows = [self._row(key, result, state) for key, (result, state) in self._written.items()]
        table = tables().controls
        key_names = {column.name for column in table.primary_key}
        changing = [column.name for column in table.columns if column.name not in key_names]
        sql.upsert(self._connection, table, rows, update=changing)
        sql.upsert(
            self._connection, tables().benchmark_runs, self._runs(), update=("edition", "at", "statuses", "weights")
        )
        self._write_containers()

    def _refuse_too_many(self, capability: str, added: t.Mapping[Key, ControlResult], gone: t.Collection[Key]) -> None:
        kept = [
            state
            for key, state in self._stored.items()
            if key[0] == capability and key not in added and key not in gone
        ]
        number = len(kept) + len(added)
        size = sum(state.size for state in kept) + sum(result.size for result in added.values())
        if number > control_results.CONTROLS_LIMIT or size > control_results.CONTROLS_BYTES:
            raise StoreError(
                f"{self._host} would have {number} controls of {size} characters in the store, more than are kept "
                f"({control_results.CONTROLS_LIMIT}, {control_results.CONTROLS_BYTES}); check the host, and forget "
                "what the store has of it"
            )

    def _row(self, key: Key, result: ControlResult, state: _State) -> dict[str, t.Any]:
        return {
            **dataclasses.asdict(result),
            "host": self._host,
            "capability": key[0],
            "since": state.since,
            "previous_status": state.previous_status,
            "previous_since": state.previous_since,
            "evidences": _marked(result.evidences, state.new_items),
            "run_id": self._run_id,
            "at": self._now,
        }

    def _runs(self) -> list[dict[str, t.Any]]:
        """Return how each subject that was judged did in this run."""
        return [
            {
                "run_id": self._run_id,
                "host": self._host,
                "capability": capability,
                "benchmark": benchmark,
                "subject": subject,
                "edition": results[0].edition,
                "at": self._now,
                **_sums(results),
            }
            for (capability, benchmark, subject), results in self._judged.items()
        ]

    def _write_containers(self) -> None:
        changed = sorted(self._listed.keys() | self._unlisted)
        if not changed:
            return
        table = tables().containers
        same = (table.c.capability == sa.bindparam("of_capability")) & (table.c.subject == sa.bindparam("of_subject"))
        self._connection.execute(
            table.delete().where(table.c.host == self._host, same),
            [{"of_capability": capability, "of_subject": subject} for capability, subject in changed],
        )
        rows = [
            {
                **dataclasses.asdict(container),
                "host": self._host,
                "capability": capability,
                "position": position,
                "run_id": self._run_id,
                "at": self._now,
            }
            for (capability, _subject), containers in self._listed.items()
            for position, container in enumerate(containers)
        ]
        if rows:
            self._connection.execute(table.insert(), rows)


def _state(before: _State | None, result: ControlResult, run_id: str, now: float) -> _State:
    """Return the state of a control after a result; a second one of the same run has the same run before it."""
    previous: tuple[str | None, float | None] = (None, None)
    since, new_items = now, frozenset[str]()
    if before is not None:
        again = before.run_id == run_id
        previous = (before.previous_status, before.previous_since) if again else (before.status, before.since)
        new_items = before.new_items if again else new_items
        if before.status == result.status:
            since = before.since
        elif previous[0] == result.status and previous[1] is not None:
            since = previous[1]
    return _State(
        scope=result.scope,
        status=result.status,
        since=since,
        previous_status=previous[0],
        previous_since=previous[1],
        run_id=run_id,
        new_items=new_items | _new_items(result.evidences),
        size=result.size,
    )


def _identity(item: t.Mapping[str, t.Any]) -> str:
    return json.dumps([item["kind"], item["name"], item["detail"]])


def _new_items(items: str) -> frozenset[str]:
    return frozenset(_identity(item) for item in json.loads(items) if item["is_new"])


def _marked(items: str, new: t.Collection[str]) -> str:
    """Return items, those marked that an earlier result of the same run found to be new."""
    if not new:
        return items
    marked = [{**item, "is_new": item["is_new"] or _identity(item) in new} for item in json.loads(items)]
    return json.dumps(marked, ensure_ascii=False, separators=(",", ":"))


def _sums(results: t.Sequence[ControlResult]) -> dict[str, str]:
    statuses = collections.Counter(result.status for result in results)
    weights: collections.Counter[str] = collections.Counter()
    for result in results:
        weights[result.status] += result.weight
    return {"statuses": json.dumps(statuses, sort_keys=True), "weights": json.dumps(weights, sort_keys=True)}


def _stored_controls(
    connection: sa.Connection, run_id: str, host: str, capabilities: t.Sequence[str]
) -> dict[Key, _State]:
    """Return the controls of a host; their items only where this run has recorded them before."""
    columns = tables().controls.c
    query = sa.select(
        *(columns[name] for name in ("capability", "benchmark", "subject", "control", "scope", "status", "since")),
        *(columns[name] for name in ("previous_status", "previous_since", "run_id")),
        sa.case((columns.run_id == run_id, columns["evidences"]), else_="[]").label("recorded"),
        (sa.func.length(columns["evidences"]) + sa.func.length(columns.excepted)).label("size"),
    ).where(columns.host == host, columns.capability.in_(capabilities))
    return {
        (row.capability, row.benchmark, row.subject, row.control): _State(
            scope=row.scope,
            status=row.status,
            since=row.since,
            previous_status=row.previous_status,
            previous_since=row.previous_since,
            run_id=row.run_id,
            new_items=_new_items(row.recorded),
            size=row.size,
        )
        for row in connection.execute(query)
    }


def _stored_inventories(connection: sa.Connection, host: str, capabilities: t.Sequence[str]) -> dict[_Inventory, str]:
    """Return the scope of each inventory of a host that the store has."""
    columns = tables().containers.c
    query = (
        sa.select(columns.capability, columns.subject, columns.scope)
        .where(columns.host == host, columns.capability.in_(capabilities))
        .distinct()
    )
    return {(row.capability, row.subject): row.scope for row in connection.execute(query)}


def _delete(connection: sa.Connection, host: str, keys: t.Collection[Key]) -> None:
    if not keys:
        return
    columns = tables().controls.c
    names = ("capability", "benchmark", "subject", "control")
    same = sa.and_(*(columns[name] == sa.bindparam(f"of_{name}") for name in names))
    rows = [dict(zip((f"of_{name}" for name in names), key, strict=True)) for key in sorted(keys)]
    connection.execute(tables().controls.delete().where(columns.host == host, same), rows)
