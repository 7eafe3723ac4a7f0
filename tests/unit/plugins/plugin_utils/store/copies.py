# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores to copy, and what they hold."""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Accepted,
    Destination,
    Selection,
    SimulatedSession,
    Store,
    location,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.copy import StoreCopy
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

from tests.unit.plugins.plugin_utils.store import benchmarks, programs
from tests.unit.plugins.plugin_utils.store.samples import (
    CAPABILITY,
    WANTED,
    checked,
    finding,
    person,
    skipped,
    start,
)

AWKWARD = r"/tmp/é\xff\x00\u202e'; DROP TABLE bulwark_findings; --%s{{ 7 * 7 }} 😀"
# Half a character and a NUL; in the event they are JSON's escapes.
_HALF = "\ud800\x00"


def fill(url: str) -> None:
    """Make a store that has something in each of its tables; its last run is not closed."""
    with contextlib.closing(Store.open(url)) as store:
        store.register_destination(Destination("siem", "file", AWKWARD), now=99)
        explained = {"by": "openssh-server 1:10.0", "count": 2**40, "examples": ["/usr/sbin/sshd"]}
        coverage = [checked(explained=[explained], explained_count=2**40), skipped("/etc/ssl", scope="ssl")]
        seen = [finding(AWKWARD, 100.1), finding("/etc/shadow", 100.2, evidences=[{"data": {"half": _HALF}}])]
        first = start(store, 100 + 1 / 3)
        store.record(first, "web1", CAPABILITY, seen, coverage, 100 + 1 / 3)
        store.finish_run(first, 101)
        store.suppress(Selection(subject="/etc/shadow"), reason="CHG-1\n", by="alice", now=110, until=9e9, future=True)
        run = start(store, 140)
        reader = {"name": "audit_log", "token": "t-1", "after": None}
        store.record(run, "web1", CAPABILITY, seen[:1], [checked()], 140, reader)
        store.record_host(run, "web1", [], 140, {"code/0/cpython-313": "c" * 64})
        store.propose_seal("web1", "default", "aa", by="alice", reason="CHG-2", now=130)
        store.confirm_seal("web1", "default", "aa", now=131)
        accepted = Accepted(CAPABILITY, 1, ({"id": "1", "subject": "/etc/shadow", "kind": "modified"},), True)
        store.propose_seal("web1", "default", "bb", by="alice", reason="CHG-2", now=132, accepted=accepted)
        request = store.jit_request(WANTED, now=200).request.id
        store.jit_decide(request, "approved", by=person("bob", login="carol"), reason="CHG-3", now=210)
        controls = [benchmarks.control(items=[AWKWARD], examined=2**40), benchmarks.manual()]
        benchmarks.record(store, 220 + 1 / 3, *controls, run=run, containers=[benchmarks.container(AWKWARD)])
        seen_program = programs.sighting(AWKWARD, executions=2**40, users=(AWKWARD,))
        store.record_host(run, "web1", [programs.result(seen_program)], 220 + 1 / 3)
        store.judge("web1", benchmarks.BENCHMARK, "1.1.2", verdict="passed", reason=AWKWARD, by="alice", now=230)
        about: dict[str, t.Any] = {"host": "web1", "subject": AWKWARD, "by": "alice", "summary": AWKWARD}
        store.record_investigation(**about, result={"half": _HALF}, now=235 + 1 / 3)
        simulation = store.start_simulation("web1", [AWKWARD], by=AWKWARD, now=236 + 1 / 3)
        store.end_simulation(simulation, [SimulatedSession(2**32 - 2, 2_147_000_000, 1 / 3, 2.0, (AWKWARD,))], now=237)
        store.app_window_opening("web1", seconds=60, by=person("bob"), reason=AWKWARD, now=240 + 1 / 3)


def copy(source: str, destination: str, *, dry: bool = False) -> StoreCopy:
    with contextlib.closing(Store.open(source, mode="read")) as store:
        return store.copy_to(destination, dry=dry)


def content(url: str) -> dict[str, list[tuple[t.Any, ...]]]:
    """Return all rows of each table, sorted by their text."""
    with connect(url) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for table in tables().metadata.sorted_tables
        }


def is_empty(url: str) -> bool:
    """Return whether a database has no store, or an empty one."""
    with contextlib.closing(Store.open(url, mode="check")) as store:
        return not any(
            (store.runs(), store.query(), store.seal_log(), store.jit_requests(), store.checkpoint("web1", "audit_log"))
        )


def connect(url: str) -> sa.Connection:
    return sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool).connect()


def execute(url: str, *statements: str) -> None:
    """Change a database with SQL of its own."""
    with connect(url) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
