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
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError, location, migrations
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Mode

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, finding, record

_DUMPS = pathlib.Path(__file__).parent / "version_1"


def connect(url: str) -> sa.Connection:
    return sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool).connect()


@pytest.fixture
def old_url(store_url: str) -> str:
    """Return the URL of a store of version 1, in which a run looked at web1 at 110 and not at web2."""
    if store_url.startswith("sqlite"):
        path = pathlib.Path(store_url.removeprefix("sqlite:///"))
        path.parent.mkdir()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript((_DUMPS / "sqlite.sql").read_text())
    else:
        with connect(store_url) as connection:
            for statement in (_DUMPS / "postgresql.sql").read_text().split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement.replace("%", "%%"))
            connection.commit()
    assert schema_of(store_url) == 1
    return store_url


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


def test_an_upgraded_store_has_the_shape_of_a_new_one(
    old_url: str, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    Store.open(old_url).close()
    assert schema_of(old_url) == migrations.VERSION == 3
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
        assert [item.by for item in store.explanations()] == ["openssh-server 1:10.0"]
        assert {covered.host: covered.last_checked for covered in store.coverage()} == {"web1": 300, "web2": None}
        assert store.forget(["web1"], by="bob", now=400)["coverage"] == 2
        assert store.explanations() == []


@pytest.mark.parametrize("mode", ["read", "check"])
def test_who_only_looks_reads_an_old_store_and_leaves_it_as_it_is(old_url: str, mode: Mode) -> None:
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
    monkeypatch.setattr(migrations, "VERSION", 1)
    monkeypatch.setattr(migrations, "STEPS", ())
    with pytest.raises(StoreError) as error:
        Store.open(old_url)
    assert str(error.value) == (
        "the store has schema 3, and this collection knows 1: a newer version of bulwark.servers wrote it, "
        "so upgrade the collection on this controller"
    )
