# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is PostgreSQL's own in the store; what both databases do is tested in tests/unit with both."""

from __future__ import annotations

import contextlib
import threading
import typing as t

import pytest
import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    Selection,
    Store,
    StoreError,
    location,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.migrations import VERSION

from tests.support import postgresql
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, only, record, start

# One worker, and so one server, for all of them.
pytestmark = [pytest.mark.requires("postgresql", "module:psycopg"), pytest.mark.xdist_group("postgresql")]


@pytest.fixture(scope="module")
def server() -> t.Iterator[postgresql.Server]:
    with postgresql.running() as started:
        yield started


@pytest.fixture
def store_url(server: postgresql.Server) -> str:
    return server.empty_database()


@pytest.fixture
def store(store_url: str) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(store_url)) as opened:
        yield opened


def connect(url: str) -> sa.Connection:
    return sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool).connect()


def test_a_database_may_hold_other_things_too(store_url: str) -> None:
    with connect(store_url) as connection:
        connection.exec_driver_sql("CREATE TABLE bookmarks (url TEXT)")
        connection.commit()
    with contextlib.closing(Store.open(store_url)) as store:
        record(store, 100, [finding()])
    with connect(store_url) as connection:
        tables = set(sa.inspect(connection).get_table_names())
    assert {name for name in tables if not name.startswith("bulwark_")} == {"bookmarks"}


def test_looking_creates_no_tables(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url, mode="check")) as store:
        assert store.query() == []
    with pytest.raises(StoreError, match="there is no store at postgresql://"):
        Store.open(store_url, mode="read")
    with connect(store_url) as connection:
        assert sa.inspect(connection).get_table_names() == []


def test_a_newer_store_is_refused(store_url: str) -> None:
    Store.open(store_url).close()
    with connect(store_url) as connection:
        connection.exec_driver_sql("UPDATE bulwark_schema SET version = 99")
        connection.commit()
    with pytest.raises(StoreError, match=f"has schema 99, and this collection knows {VERSION}: a newer version"):
        Store.open(store_url)


def test_a_database_that_is_not_there_is_named(store_url: str) -> None:
    with pytest.raises(StoreError) as error:
        Store.open(store_url.replace("@/postgres", "@/lost"))
    assert str(error.value) == (
        'the store postgresql://bulwark@/lost cannot be opened: database "lost" does not exist; '
        "create it, or correct the URL"
    )


@pytest.mark.parametrize(
    ("password", "complaint"), [("wrong", "refuses the password of user 'weak'"), ("", "requires a password")]
)
def test_a_wrong_password_is_said_and_not_shown(server: postgresql.Server, password: str, complaint: str) -> None:
    url = server.guarded_database().replace("weak@", f"weak:{password}@" if password else "weak@")
    with pytest.raises(StoreError) as error:
        Store.open(url)
    shown = "postgresql://weak:***@/postgres" if password else "postgresql://weak@/postgres"
    advice = "put it into ~/.pgpass (https://www.postgresql.org/docs/current/libpq-pgpass.html)"
    assert str(error.value) == f"the store {shown} {complaint}; {advice}"


def test_a_schema_without_rights_is_named(server: postgresql.Server) -> None:
    with pytest.raises(StoreError) as error:
        Store.open(server.guarded_database().replace("weak@", "weak:right@"))
    assert str(error.value) == (
        "the store postgresql://weak:***@/postgres cannot be used: permission denied for schema public; "
        "its tables and schema must belong to the user in the URL"
    )


def test_a_reader_sees_one_moment(store_url: str, store: Store) -> None:
    """A report must not show a finding whose run it doesn't have."""
    record(store, 100, [finding()])

    def look(connection: sa.Connection) -> list[int]:
        seen = [connection.execute(counted).scalar_one()]
        with contextlib.closing(Store.open(store_url)) as other:
            record(other, 200, [finding("/etc/b")])
        return [*seen, connection.execute(counted).scalar_one()]

    counted = sa.text("SELECT count(*) FROM bulwark_findings")
    assert store._database.read(look) == [1, 1]
    assert store.counts().total == 2


def test_what_the_server_undoes_is_done_again(store_url: str, store: Store) -> None:
    """Two transactions that lock each other out: the server ends one of them, and the store does it again."""
    record(store, 100, [finding("/etc/a"), finding("/etc/b")])
    barrier = threading.Barrier(2)
    attempts = []

    def change(first: str, second: str) -> None:
        def work(connection: sa.Connection) -> None:
            attempts.append(first)
            for position, subject in enumerate((first, second)):
                statement = sa.text("UPDATE bulwark_findings SET count = count + 1 WHERE subject = :subject")
                connection.execute(statement, {"subject": subject})
                if position == 0 and len(attempts) <= 2:
                    barrier.wait(timeout=30)

        with contextlib.closing(Store.open(store_url)) as own:
            own._database.write(work)

    threads = [threading.Thread(target=change, args=pair) for pair in (("/etc/a", "/etc/b"), ("/etc/b", "/etc/a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(attempts) == 3
    assert {found.count for found in store.query()} == {3}


def test_a_decision_and_records_of_many_hosts_do_not_lock_each_other_out(store_url: str, store: Store) -> None:
    hosts = [f"web{number}" for number in range(20)]
    run_id = start(store, 100, hosts)
    for host in hosts:
        record(store, 100, [finding(f"/etc/{number}", host=host) for number in range(20)], host=host, run_id=run_id)
    failed: list[BaseException] = []

    def repeat(work: t.Callable[[Store, int], object]) -> None:
        try:
            with contextlib.closing(Store.open(store_url)) as own:
                for number in range(10):
                    work(own, number)
        except StoreError as error:
            failed.append(error)

    def look(own: Store, number: int) -> None:
        for host in hosts if number % 2 else reversed(hosts):
            seen = [finding(f"/etc/{item}", host=host) for item in range(20)]
            record(own, 200 + number, seen, host=host)

    def look_at_all(own: Store, number: int) -> None:
        for host in hosts:
            recorded = own.record_host(
                start(own, 200 + number, [host]),
                host,
                [
                    CapabilityResult("audit", [], [checked("events")]),
                    CapabilityResult(
                        CAPABILITY, [finding(f"/etc/{item}", host=host) for item in range(20)], [checked()]
                    ),
                ],
                200 + number,
            )
            assert [each.refused for each in recorded] == [None, None]

    def decide(own: Store, number: int) -> None:
        own.suppress(Selection(host="*"), reason=str(number), by="alice", now=200 + number)
        own.unsuppress(Selection(host="*"), reason=str(number), by="alice", now=200 + number)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in (look, decide, look_at_all)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {found.count for found in store.query()} == {21}


def test_an_awkward_name_comes_back_as_it_was(store: Store) -> None:
    subject = r"/tmp/é\xff\x00\u202e'; DROP TABLE bulwark_findings; --%s{{ 7 * 7 }}"
    record(store, 100, [finding(subject)])
    assert only(store, 100).subject == subject
