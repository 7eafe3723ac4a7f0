# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies from SQLite to PostgreSQL and back: complete, or nothing."""

from __future__ import annotations

import contextlib
import pathlib
import signal
import subprocess
import sys
import tracemalloc
import typing as t

import pytest
import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, location
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import copy as copying
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.row_digest import RowDigest

from tests.support import paths
from tests.unit.plugins.plugin_utils.store.copies import AWKWARD, connect, content, copy, fill, is_empty
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, person, record, start

# Copies as a program that ends itself by SIGKILL when it sends the database a statement, or commits after it.
_KILLED = """
import contextlib, os, signal, sys
import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store
source, destination, statement, when = sys.argv[1:]
sent = []
def execute(connection, cursor, text, *more):
    if text.startswith(statement):
        sent.append(text)
        end("statement")
def end(now):
    if sent and now == when:
        os.kill(os.getpid(), signal.SIGKILL)
sa.event.listen(sa.Engine, "after_cursor_execute", execute)
sa.event.listen(sa.Engine, "commit", lambda connection: end("commit"))
with contextlib.closing(Store.open(source, mode="read")) as store:
    store.copy_to(destination)
"""


def test_there_and_back_is_the_same(
    ends: tuple[str, str], sqlite_urls: t.Iterator[str], postgresql_urls: t.Iterator[str]
) -> None:
    source, destination = ends
    fill(source)
    back = next(postgresql_urls if source.startswith("postgresql") else sqlite_urls)
    there, again = copy(source, destination), copy(destination, back)
    assert content(source) == content(destination) == content(back)
    assert there.tables == again.tables
    assert {table.name for table in there.tables} == {*content(source)} - {"bulwark_schema"}
    for table in there.tables:
        assert table.rows > 0, f"{table.name} was not tried"
    assert len({table.digest for table in there.tables}) == len(there.tables)
    assert (there.destination, again.source) == (location.shown(location.parse(destination)),) * 2


def test_the_copy_goes_on_where_the_source_was(ends: tuple[str, str]) -> None:
    source, destination = ends
    fill(source)
    copy(source, destination)
    with contextlib.closing(Store.open(destination)) as store:
        assert store.expected_digests("web1", "default") == ["aa", "bb"]
        store.confirm_seal("web1", "default", "bb", now=300)
        assert [entry.digest for entry in store.seal_history("web1", "default")] == ["bb", "bb", "aa", "aa"]
        seen = [finding(AWKWARD, 310)]
        stale, following = ({"name": "audit_log", "token": "t-2", "after": after} for after in (None, "t-1"))
        run = start(store, 310)
        store.record(run, "web1", CAPABILITY, seen, [checked()], 310, stale)
        assert [found.count for found in store.query(now=310) if found.subject == AWKWARD] == [2]
        seen += [finding("/etc/shadow", 310), finding("/etc/new", 310)]
        result = store.record(run, "web1", CAPABILITY, seen, [], 310, following)
        assert (result.new, result.seen_again, result.suppressed) == (1, 1, 1)
        assert store.checkpoint("web1", "audit_log") == "t-2"
        (request,) = store.jit_requests(now=320)
        store.jit_opening(request.id, by=person("alice"), now=320)


def test_a_dry_copy_only_counts(ends: tuple[str, str]) -> None:
    source, destination = ends
    fill(source)
    told = copy(source, destination, dry=True)
    assert is_empty(destination)
    assert not pathlib.Path(destination.removeprefix("sqlite:///")).exists()
    made = copy(source, destination)
    assert [(table.name, table.rows) for table in told.tables] == [(table.name, table.rows) for table in made.tables]
    assert {table.digest for table in told.tables} == {None}


def test_a_run_that_may_still_write_is_named(ends: tuple[str, str], sqlite_url: str) -> None:
    source, destination = ends
    fill(source)
    assert (copy(source, destination, dry=True).unfinished, copy(source, destination).unfinished) == (140, 140)
    with contextlib.closing(Store.open(source)) as store:
        for run in store.runs():
            store.finish_run(run.id, 400)
    assert copy(source, sqlite_url).unfinished is None


@pytest.mark.parametrize(
    ("statement", "when"), [("INSERT INTO bulwark_seals", "statement"), ("INSERT INTO bulwark_jit_history", "commit")]
)
def test_a_copy_that_is_killed_leaves_nothing(ends: tuple[str, str], statement: str, when: str) -> None:
    source, destination = ends
    fill(source)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, source, destination, statement, when],
        env={"PYTHONPATH": str(paths.COLLECTIONS)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert is_empty(destination)
    copy(source, destination)
    assert content(source) == content(destination)


@contextlib.contextmanager
def during_the_copy(work: t.Callable[[], None]) -> t.Iterator[None]:
    """Call a function when the first findings were sent."""
    waiting = [work]

    def execute(_connection: sa.Connection, _cursor: t.Any, statement: str, *_more: t.Any) -> None:
        if waiting and statement.startswith("INSERT INTO bulwark_findings"):
            waiting.pop()()

    sa.event.listen(sa.Engine, "after_cursor_execute", execute)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", execute)
    assert not waiting


def test_the_source_is_read_as_it_was_at_one_time(ends: tuple[str, str]) -> None:
    source, destination = ends
    fill(source)
    before = content(source)

    def scan() -> None:
        with contextlib.closing(Store.open(source)) as store:
            record(store, 500, [finding("/etc/new", 500)])
            store.propose_seal("web1", "default", "cc", by="alice", reason="CHG-9", now=500)

    with during_the_copy(scan):
        copy(source, destination)
    assert content(destination) == before != content(source)


def test_a_scan_waits_until_the_destination_is_complete(ends: tuple[str, str]) -> None:
    source, destination = ends
    fill(source)
    refused = []

    def scan() -> None:
        with contextlib.suppress(sa.exc.OperationalError), connect(destination) as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET lock_timeout = '50ms'")
            else:
                connection.exec_driver_sql("PRAGMA busy_timeout = 50")
            refused.append(True)
            connection.exec_driver_sql("DELETE FROM bulwark_seals")
            connection.commit()
            refused.clear()

    with during_the_copy(scan):
        copy(source, destination)
    assert refused == [True]
    assert content(source) == content(destination)


def test_a_new_file_is_private(sqlite_urls: t.Iterator[str]) -> None:
    source, destination = next(sqlite_urls), next(sqlite_urls)
    fill(source)
    copy(source, destination)
    file = pathlib.Path(destination.removeprefix("sqlite:///"))
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_copy_needs_the_memory_of_some_rows(ends: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    source, destination = ends
    size, number = 20_000, 400
    monkeypatch.setattr(copying, "_BATCH", 20)
    with contextlib.closing(Store.open(source)) as store:
        run = start(store, 100)
        store.record(run, "web1", CAPABILITY, [finding(f"/{item}") for item in range(number)], [checked()], 100)
    with connect(source) as connection:
        connection.execute(sa.text("UPDATE bulwark_findings SET event = event || :more"), {"more": size * " "})
        connection.commit()
    tracemalloc.start()
    try:
        copy(source, destination)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size * number / 2


def test_a_digest_tells_tables_apart_but_not_the_order_of_rows() -> None:
    def digest(*rows: tuple[t.Any, ...]) -> str:
        made = RowDigest()
        for row in rows:
            made.add(row)
        return made.hexdigest()

    assert digest(("a", 1), ("b", 2)) == digest(("b", 2), ("a", 1))
    different = [(), ((None,),), (("",),), ((0,),), ((0.0,),), (("0",),), (("a", "b"),), (("ab",),), (("b", "a"),)]
    different += [(("a", 1), ("b", 2)), (("a", 2), ("b", 1)), (("a", 1), ("a", 1)), (("a", 1),)]
    assert len({digest(*rows) for rows in different}) == len(different)
