# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens once per host must not become slower with the number of hosts."""

from __future__ import annotations

import contextlib
import sqlite3
import typing as t

import pytest
import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    Destination,
    JitQuery,
    Query,
    Selection,
    Settlement,
    Store,
)

from tests.unit.plugins.plugin_utils.store import benchmarks, programs
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, WANTED, checked, finding, person, record, start


@pytest.fixture
def store(sqlite_url: str) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(sqlite_url)) as opened:
        yield opened


@contextlib.contextmanager
def statements() -> t.Iterator[list[tuple[str, t.Any]]]:
    """Collect what is executed meanwhile, with its values."""
    executed: list[tuple[str, t.Any]] = []

    def collect(_connection: t.Any, _cursor: t.Any, statement: str, values: t.Any, _context: t.Any, many: bool) -> None:
        executed.append((statement, values[0] if many else values))

    sa.event.listen(sa.Engine, "before_cursor_execute", collect)
    try:
        yield executed
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", collect)


def plans(url: str, executed: t.Sequence[tuple[str, t.Any]]) -> list[str]:
    """Return how SQLite does it (https://www.sqlite.org/eqp.html): SEARCH uses an index, SCAN reads the whole table."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return [
            step[3]
            for statement, values in executed
            if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE", "INSERT")
            for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        ]


OPERATIONS: dict[str, t.Callable[[Store, str], object]] = {
    "record": lambda store, run: record(store, 200, [finding("/etc/b")], [checked()], run_id=run),
    "query of a host": lambda store, _run: store.query(Query(hosts=["web1"])),
    "query of a finding": lambda store, _run: store.query(Query(uids=["x"])),
    "query of an alert": lambda store, _run: store.query(Query(alerts=["x"])),
    "history of a finding": lambda store, _run: store.history(Query(uids=["x"])),
    "coverage of a host": lambda store, _run: store.coverage(hosts=["web1"]),
    "suppress a host": lambda store, _run: store.suppress(Selection(host="web1"), reason="r", by="b", now=300),
    "seal": lambda store, _run: store.expected_digests("web1", "default"),
    "finish": lambda store, run: store.finish_run(run, 300),
    "open a request": lambda store, _run: _open(store),
    "requests of a host": lambda store, _run: store.jit_requests(JitQuery(hosts=["web1"])),
    "record controls": lambda store, run: benchmarks.record(store, 200, benchmarks.control(), run=run),
    "controls of a host": lambda store, _run: store.controls(hosts=["web1"]),
    "a control": lambda store, _run: store.controls(controls=["5.10"]),
    "newest scores of a host": lambda store, _run: store.benchmark_runs(hosts=["web1"], newest=True),
    "containers of a host": lambda store, _run: store.containers(hosts=["web1"]),
    "judgements of a host": lambda store, _run: store.judgements(hosts=["web1"], standing=True),
    "record programs": lambda store, _run: programs.record(store, programs.sighting()),
    "programs of a host": lambda store, _run: store.fleet(["web1"]),
    "hosts with a program": lambda store, _run: store.hosts_with(["a" * 64], ["/usr/bin/nginx"]),
    "claim": lambda store, _run: store.claim("siem", "e", changes=10, size=1000, lease=60, now=200),
    "settle": lambda store, _run: _settle(store),
    "postpone": lambda store, _run: store.postpone("siem", until=300, reason="r", now=200),
    "history of a request": lambda store, _run: store.jit_history(JitQuery(ids=["x"])),
}


def _settle(store: Store) -> None:
    (change,) = store.claim("siem", "e", changes=1, size=1000, lease=60, now=200)
    store.settle("siem", "e", [Settlement(change.id, "sent")], now=210)


def _open(store: Store) -> None:
    request = store.jit_request(WANTED, now=100).request.id
    store.jit_decide(request, "approved", by=person("bob"), reason="", now=100)
    store.jit_opening(request, by=person("alice"), now=100)
    store.jit_open(request, by=person("alice"), now=100)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_index_serves_what_is_about_one_host(sqlite_url: str, store: Store, operation: str) -> None:
    store.register_destination(Destination("siem", "file", "/x"), now=50)
    run_id = start(store, 100)
    record(store, 100, [finding()], run_id=run_id)
    with statements() as executed:
        OPERATIONS[operation](store, run_id)
    steps = plans(sqlite_url, executed)
    assert any("SEARCH" in step for step in steps)
    # There are as many decisions about findings to come as people make, a handful of destinations, and as
    # many notes of their numbers as one run makes at most.
    small = ("suppressions", "outbox_destinations", "outbox_counts")
    assert [step for step in steps if step.startswith("SCAN bulwark_") and not any(map(step.__contains__, small))] == []


def test_a_host_is_recorded_without_a_look_at_the_programs_of_others(sqlite_url: str, store: Store) -> None:
    with statements() as executed:
        for _look in ("first", "second"):
            programs.record(store, programs.sighting())
    steps = [step for step in plans(sqlite_url, executed) if "SEARCH bulwark_program_sightings" in step]
    assert {step.partition(" USING ")[2].removesuffix(" LEFT-JOIN") for step in steps} == {
        "PRIMARY KEY (host=? AND program=?)",
        "PRIMARY KEY (host=?)",
    }


def test_the_first_findings_are_found_without_sorting_all(sqlite_url: str, store: Store) -> None:
    with statements() as executed:
        store.query(Query(severity="high", statuses=["new", "open"], limit=100))
    plan = plans(sqlite_url, executed)
    inner = plan[next(position for position, step in enumerate(plan) if "LIST SUBQUERY" in step) + 1]
    assert "USING COVERING INDEX ix_bulwark_findings_order" in inner or "USING INDEX ix_bulwark_findings_order" in inner


def test_more_results_of_a_host_take_no_more_statements(store: Store) -> None:
    run_id = start(store, 100)
    numbers = []
    for count in (2, 20):
        host = f"web{count}"
        results = [
            CapabilityResult(CAPABILITY, [finding(f"/etc/{number}", host=host)], [checked(f"s{number}")])
            for number in range(count)
        ]
        with statements() as executed:
            store.record_host(run_id, host, results, 100)
        numbers.append(len(executed))
    # The 16th writes the observables of all findings.
    assert numbers[0] == numbers[1] == 16


FLEET_OPERATIONS: dict[str, t.Callable[[Store, str], object]] = {
    "finish": lambda store, run: store.finish_run(run, 300, {f"web{number}": "it is down" for number in range(20)}),
    "query": lambda store, _run: store.query(),
    "coverage": lambda store, _run: store.coverage(),
    "runs": lambda store, _run: store.runs(),
    "history": lambda store, _run: store.history(),
    "controls": lambda store, _run: store.controls(),
    "programs": lambda store, _run: (store.fleet(), store.programs(), store.program_hosts()),
    "scores": lambda store, _run: store.benchmark_runs(newest=True),
    "prune": lambda store, _run: store.prune(1_000),
}


@pytest.mark.parametrize("operation", FLEET_OPERATIONS)
def test_more_hosts_take_no_more_statements(store: Store, operation: str) -> None:
    numbers = []
    for hosts in (2, 20):
        names = [f"web{number}" for number in range(hosts)]
        for host in names:
            record(store, 100, [finding(host=host)], host=host)
        run_id = start(store, 200, names)
        with statements() as executed:
            FLEET_OPERATIONS[operation](store, run_id)
        numbers.append(len(executed))
    assert numbers[0] == numbers[1]
