# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores that earlier versions wrote: ``version_N`` has each as a dump of the database."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import typing as t

import pytest
import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Query,
    Store,
    StoreError,
    location,
    migrations,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Mode

from tests.unit.plugins.plugin_utils.store import benchmarks, programs
from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, WANTED, finding, person, record

_DUMPS = pathlib.Path(__file__).parent


def connect(url: str) -> sa.Connection:
    return sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool).connect()


def made(url: str, version: int) -> str:
    """Make the store that a version wrote at a URL, and return the URL."""
    dumps = _DUMPS / f"version_{version}"
    if url.startswith("sqlite"):
        path = pathlib.Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript((dumps / "sqlite.sql").read_text())
    else:
        with connect(url) as connection:
            for statement in (dumps / "postgresql.sql").read_text().split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement.replace("%", "%%"))
            connection.commit()
    assert schema_of(url) == version
    return url


@pytest.fixture
def old_url(store_url: str) -> str:
    """Return the URL of a store of version 1, in which a run looked at web1 at 110 and not at web2."""
    return made(store_url, 1)


@pytest.fixture
def version_3_url(store_url: str) -> str:
    """Return the URL of a store of version 3, which has something in each of its tables."""
    return made(store_url, 3)


def schema_of(url: str) -> int:
    with connect(url) as connection:
        return t.cast("int", connection.exec_driver_sql("SELECT version FROM bulwark_schema").scalar_one())


def shape(url: str) -> dict[str, t.Any]:
    """Return the tables with their columns, keys and indexes."""
    with connect(url) as connection:
        inspector = sa.inspect(connection)
        return {
            table: {
                "columns": {
                    column["name"]: (str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)
                },
                "key": inspector.get_pk_constraint(table)["constrained_columns"],
                "foreign": [
                    (key["constrained_columns"], key["referred_table"], key["referred_columns"], key["options"])
                    for key in inspector.get_foreign_keys(table)
                ],
                "indexes": sorted(
                    (index["name"] or "", index["column_names"]) for index in inspector.get_indexes(table)
                ),
            }
            for table in inspector.get_table_names()
        }


@pytest.mark.parametrize("version", [1, 3])
def test_an_upgraded_store_has_the_shape_of_a_new_one(
    store_url: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path, version: int
) -> None:
    old_url = made(store_url, version)
    Store.open(old_url).close()
    assert schema_of(old_url) == migrations.VERSION == 12
    if old_url.startswith("sqlite"):
        new_url = f"sqlite:///{tmp_path}/new.db"
    else:
        new_url = request.getfixturevalue("postgresql_server").empty_database()
    Store.open(new_url).close()
    assert shape(old_url) == shape(new_url)


def test_an_upgrade_keeps_everything_and_learns_when_hosts_were_last_checked(old_url: str) -> None:
    with contextlib.closing(Store.open(old_url)) as store:
        assert {found.subject: found.status for found in store.query(now=200)} == {
            "/etc/passwd": "new",
            "/etc/shadow": "suppressed",
        }
        assert {covered.host: (covered.status, covered.last_checked) for covered in store.coverage()} == {
            "web1": ("checked", 110),
            "web2": ("not_checked", None),
        }
        for covered in store.coverage():
            for entry in covered.entries:
                assert (entry["explained_count"], entry["explained"], entry["note"]) == (0, [], None)
        assert len(store.history()) == 3
        assert [rule.subject for rule in store.suppressions()] == ["/etc/shadow"]
        assert store.expected_digests("web1", "default") == ["a" * 64]
        assert [run.id for run in store.runs()] == ["run-1"]


def test_an_upgraded_store_is_written_on(old_url: str) -> None:
    explained = [{"by": "openssh-server 1:10.0", "count": 31, "examples": ["/usr/sbin/sshd"]}]
    entry = {"scope": "etc", "status": "checked", "reason": None, "examined": 1, "skipped": [], "skipped_count": 0}
    with contextlib.closing(Store.open(old_url)) as store:
        record(store, 300, [finding()], [{**entry, "explained": explained, "explained_count": 31}])
        assert [item.explained_by for item in store.explanations()] == ["openssh-server 1:10.0"]
        assert {covered.host: covered.last_checked for covered in store.coverage()} == {"web1": 300, "web2": None}
        assert store.forget(["web1"], by="bob", now=400)["coverage"] == 2
        assert store.explanations() == []


def test_an_upgraded_store_keeps_controls_and_what_people_decide(old_url: str) -> None:
    with contextlib.closing(Store.open(old_url)) as store:
        assert (store.controls(), store.benchmark_runs(), store.judgements(), store.containers()) == ([], [], [], [])
        benchmarks.record(store, 300, benchmarks.manual(), containers=[benchmarks.container()])
        store.judge("web1", benchmarks.BENCHMARK, "1.1.2", verdict="passed", reason="known", by="alice", now=310)
    with contextlib.closing(Store.open(old_url, mode="read")) as store:
        assert [found.number for found in store.controls()] == ["1.1.2"]
        assert [found.verdict for found in store.judgements(standing=True)] == ["passed"]
        assert (len(store.benchmark_runs(newest=True)), len(store.containers())) == (1, 1)


@pytest.mark.parametrize("mode", ["read", "check", "write"])
def test_an_upgrade_indexes_the_observables_of_all_findings(store_url: str, mode: Mode) -> None:
    old_url = made(store_url, 1)
    with contextlib.closing(Store.open(old_url, mode=mode)) as store:
        everything = store.query(now=200)
        shown = {found.uid: [each["value"] for each in found.event["observables"]] for found in everything}
        assert shown
        assert all("/etc/cron.d/backup" in values for values in shown.values())
        with_path = store.query(Query(observables=observables.keys_of("/etc/cron.d/backup")), now=200)
        assert {found.uid for found in with_path} == set(shown)
        if mode == "read":
            return
        # And what is seen again takes the place of what was indexed.
        subject, host = everything[0].subject, everything[0].host
        record(store, 300, [finding(subject, host=host, evidences=[])], host=host)
        with_path = store.query(Query(observables=observables.keys_of("/etc/cron.d/backup")), now=200)
        assert {found.uid for found in with_path} == set(shown) - {everything[0].uid}


def test_an_upgraded_store_keeps_programs(old_url: str) -> None:
    with contextlib.closing(Store.open(old_url)) as store:
        assert (store.fleet().hosts, store.programs(), store.program_hosts()) == ([], [], [])
        programs.record(store, programs.sighting())
        programs.record(store, programs.sighting(day=2), day=2)
    with contextlib.closing(Store.open(old_url, mode="read")) as store:
        assert [list(host.days_seen) for host in store.fleet().hosts] == [[2]]
        assert store.hosts_with(paths=["/usr/bin/nginx"]).by_path == {"/usr/bin/nginx": (1, ("web1",))}


def test_an_upgrade_of_version_3_keeps_everything_and_takes_requests(version_3_url: str) -> None:
    with contextlib.closing(Store.open(version_3_url)) as store:
        assert {found.subject: found.status for found in store.query(now=200)} == {
            "/etc/passwd": "new",
            "/etc/shadow": "suppressed",
        }
        assert [item.explained_by for item in store.explanations()] == ["openssh-server 1:10.0"]
        assert store.checkpoint("web1", "audit_log") == "t-1"
        assert store.expected_digests("web1", "default") == ["a" * 64]
        (confirmed, _proposed) = store.seal_log()
        assert confirmed.accepted is not None
        assert (len(store.history()), len(store.suppressions()), len(store.runs())) == (3, 1, 1)
        assert (store.jit_requests(), store.jit_history()) == ([], [])
        request = store.jit_request(WANTED, now=200).request.id
        store.jit_decide(request, "approved", by=person("bob"), reason="CHG-2", now=210)
        store.jit_opening(request, by=person("alice"), now=220)
        store.jit_open(request, by=person("alice"), now=220)
    with contextlib.closing(Store.open(version_3_url, mode="read")) as store:
        assert [(found.id, found.state) for found in store.jit_requests(now=230)] == [(request, "open")]
        assert [entry.state for entry in store.jit_history()] == ["open", "opening", "approved", "requested"]


def test_an_upgrade_of_version_4_keeps_requests_and_learns_who_did_what(version_3_url: str) -> None:
    fields = {
        "id": "r",
        "host": "web1",
        "ports": '["22"]',
        "protocol": "tcp",
        "sources": '["192.0.2.7"]',
        "duration": 3600,
        "requested_by": "alice",
        "for_whom": "alice",
        "justification": "CHG-1",
        "requested_at": 100.0,
        "valid_until": 9000.0,
        "state": "open",
        "opened_at": 110.0,
        "until": 3710.0,
        "grant_id": "r",
    }
    with connect(version_3_url) as connection:
        migrations.STEPS[2](connection)
        names = ", ".join(fields)
        values = ", ".join(f":{name}" for name in fields)
        connection.execute(sa.text(f"INSERT INTO bulwark_jit_requests ({names}) VALUES ({values})"), fields)  # noqa: S608
        connection.exec_driver_sql("UPDATE bulwark_schema SET version = 4")
        connection.commit()
    with contextlib.closing(Store.open(version_3_url)) as store:
        (request,) = store.jit_requests(now=200)
        assert (request.state, request.grant, request.requested_account, request.used_packets) == (
            "open",
            "r",
            None,
            None,
        )
        ended = store.jit_end("r", "closed", by=person("bob", login="carol"), reason="done", now=210).request
        assert (ended.ended_by, ended.ended_account, ended.ended_login) == ("bob", "bob", "carol")
        assert [(entry.account, entry.login) for entry in store.jit_history()] == [("bob", "carol")]


def test_who_only_asks_for_requests_writes_no_end_into_an_older_store(version_3_url: str) -> None:
    with connect(version_3_url) as connection:
        migrations.STEPS[2](connection)
        connection.exec_driver_sql("UPDATE bulwark_schema SET version = 4")
        connection.exec_driver_sql(
            "INSERT INTO bulwark_jit_requests (id, host, ports, protocol, sources, duration, requested_by, for_whom, "
            "justification, requested_at, valid_until, state) "
            "VALUES ('r', 'web1', '[]', 'tcp', '[]', 60, 'a', 'a', '', 100, 200, 'requested')"
        )
        connection.commit()
    with contextlib.closing(Store.open(version_3_url, mode="read")) as store:
        assert [found.state for found in store.jit_requests(now=300)] == ["expired"]
        assert store.jit_is_noted(300)
    assert schema_of(version_3_url) == 4


@pytest.mark.parametrize("mode", ["read", "check"])
def test_who_only_asks_for_requests_leaves_a_store_of_version_3_as_it_is(version_3_url: str, mode: Mode) -> None:
    before = shape(version_3_url)
    with contextlib.closing(Store.open(version_3_url, mode=mode)) as store:
        assert store.jit_requests() == []
        if mode == "check":
            store.jit_request(WANTED, now=200)
            assert len(store.jit_requests(now=200)) == 1
    assert (schema_of(version_3_url), shape(version_3_url)) == (3, before)


@pytest.mark.parametrize("mode", ["read", "check"])
def test_who_only_looks_looks_reads_an_old_store_and_leaves_it_as_it_is(old_url: str, mode: Mode) -> None:
    before = shape(old_url)
    with contextlib.closing(Store.open(old_url, mode=mode)) as store:
        assert {covered.host: covered.last_checked for covered in store.coverage(capabilities=[CAPABILITY])} == {
            "web1": 110,
            "web2": None,
        }
        if mode == "read":
            with pytest.raises(StoreError, match="was opened for reading"):
                record(store, 300)
    assert (schema_of(old_url), shape(old_url)) == (1, before)


def test_an_upgrade_that_is_cut_off_changes_nothing(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    *steps, step = migrations.STEPS

    def cut_off(connection: sa.Connection) -> None:
        step(connection)
        raise StoreError("cut off")

    before = shape(old_url)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", (*steps, cut_off))
        with pytest.raises(StoreError, match="cut off"):
            Store.open(old_url)
    assert (schema_of(old_url), shape(old_url)) == (1, before)
    Store.open(old_url).close()
    assert schema_of(old_url) == migrations.VERSION


def test_a_program_that_knows_less_says_so(old_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(old_url).close()
    newest = migrations.VERSION
    monkeypatch.setattr(migrations, "VERSION", 1)
    monkeypatch.setattr(migrations, "STEPS", ())
    with pytest.raises(StoreError) as error:
        Store.open(old_url)
    assert str(error.value) == (
        f"the store has schema {newest}, and this collection knows 1: a newer version of bulwark.servers wrote it, "
        "so upgrade the collection on this controller"
    )
