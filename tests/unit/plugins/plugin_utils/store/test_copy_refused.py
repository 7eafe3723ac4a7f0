# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies that are refused: the message says why and what to do, and the destination stays as it was."""

from __future__ import annotations

import contextlib
import sqlite3
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError, engine, location
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.migrations import VERSION

from tests.unit.plugins.plugin_utils.store.copies import connect, content, copy, execute, fill, is_empty
from tests.unit.plugins.plugin_utils.store.test_upgrade import made, schema_of


def shown(url: str) -> str:
    return location.shown(location.parse(url))


def refusal(source: str, destination: str, *, dry: bool = False) -> str:
    with pytest.raises(StoreError) as error:
        copy(source, destination, dry=dry)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_second_copy(ends: tuple[str, str]) -> None:
    source, destination = ends
    fill(source)
    copy(source, destination)
    before = content(destination)
    rows = ", ".join(f"{name} {len(rows)}" for name, rows in sorted(before.items()) if name != "bulwark_schema")
    for dry in (True, False):
        message = refusal(source, destination, dry=dry)
        head, _, rest = message.partition(" (rows: ")
        assert head == f"the destination {shown(destination)} is not empty"
        listed, _, advice = rest.partition("); ")
        assert ", ".join(sorted(listed.split(", "))) == rows
        assert advice == "name a database without a store, or remove these tables first"
    assert content(destination) == before


def test_the_store_itself(store_url: str) -> None:
    fill(store_url)
    assert f"the destination {shown(store_url)} is not empty" in refusal(store_url, store_url)


def test_an_older_source_and_an_older_destination(ends: tuple[str, str]) -> None:
    source, destination = ends
    made(source, 3)
    assert refusal(source, destination) == (
        f"the store {shown(source)} has the schema of an older collection: "
        "scan with this one first, which brings it up to date, and then copy it"
    )
    assert is_empty(destination)
    fill(destination)
    assert "is not empty" in refusal(destination, source)
    assert (schema_of(source), schema_of(destination)) == (3, VERSION)


def test_a_newer_destination(ends: tuple[str, str]) -> None:
    source, destination = ends
    fill(source)
    Store.open(destination).close()
    execute(destination, "UPDATE bulwark_schema SET version = 99")
    message = refusal(source, destination)
    assert message.startswith(
        f"the destination cannot be used: the store has schema 99, and this collection knows {VERSION}"
    )


def test_a_url_that_is_none(sqlite_urls: t.Iterator[str]) -> None:
    source = next(sqlite_urls)
    fill(source)
    message = refusal(source, "mysql://user:geheim@host/db")
    assert message.startswith("the destination cannot be used: the store works with SQLite and PostgreSQL, not with")
    assert "geheim" not in message


_REQUIRES = [pytest.mark.requires("postgresql", "module:psycopg"), pytest.mark.xdist_group("postgresql")]


@pytest.mark.parametrize(
    ("statement", "place", "problem"),
    [
        (
            "UPDATE bulwark_seals SET reason = 'CHG' || char(0)",
            "bulwark_seals where host='web1', name='default', the column reason",
            "has a NUL character, which PostgreSQL refuses",
        ),
        (
            "UPDATE bulwark_history SET before_severity = 2147483648 WHERE id = 2",
            "bulwark_history where id=2, the column before_severity",
            "has a number of more than 32 bits",
        ),
        (
            "UPDATE bulwark_seal_history SET at = 'noon' WHERE id = 3",
            "bulwark_seal_history where id=3, the column at",
            "has a value of type str in place of float",
        ),
        (
            "UPDATE bulwark_checkpoints SET token = X'00ff'",
            "bulwark_checkpoints where host='web1', name='audit_log', the column token",
            "has a value of type bytes in place of str",
        ),
        (
            "UPDATE bulwark_explained SET count = 1.5",
            None,
            "the column count has a value of type float in place of int; correct or remove this row, and copy again",
        ),
    ],
)
@pytest.mark.parametrize("to", [pytest.param("postgresql_urls", marks=_REQUIRES), "sqlite_urls"])
def test_a_value_that_the_other_database_does_not_take(
    request: pytest.FixtureRequest, sqlite_url: str, statement: str, place: str | None, problem: str, to: str
) -> None:
    fill(sqlite_url)
    execute(sqlite_url, statement)
    destination = next(request.getfixturevalue(to))
    if to == "sqlite_urls" and "type" not in problem:
        copy(sqlite_url, destination)
        assert content(sqlite_url) == content(destination)
        return
    message = refusal(sqlite_url, destination)
    assert message.startswith(f"the store {shown(sqlite_url)} cannot be copied: in bulwark_")
    assert problem in message
    if place:
        advice = "correct or remove this row, and copy again"
        assert message.endswith(f"in {place} {problem}; {advice}")
    assert is_empty(destination)


def test_a_source_that_cannot_be_read_is_the_one_that_is_named(sqlite_urls: t.Iterator[str]) -> None:
    source, destination = next(sqlite_urls), next(sqlite_urls)
    fill(source)
    execute(source, "UPDATE bulwark_seals SET reason = CAST(X'ff' AS TEXT)")
    assert refusal(source, destination).startswith(
        f"the store {shown(source)} failed: Could not decode to UTF-8 column"
    )
    assert is_empty(destination)


def test_a_destination_that_changes_what_it_is_given(ends: tuple[str, str]) -> None:
    source, destination = ends
    fill(source)
    Store.open(destination).close()
    if destination.startswith("postgresql"):
        execute(destination, "CREATE RULE less AS ON INSERT TO bulwark_history DO ALSO DELETE FROM bulwark_seals")
    else:
        action = "BEGIN DELETE FROM bulwark_seals; END"
        execute(destination, f"CREATE TRIGGER less AFTER INSERT ON bulwark_history {action}")
    assert refusal(source, destination) == (
        f"the destination {shown(destination)} changed what was written into bulwark_seals (1 rows, 0 read back), "
        "so nothing was copied; remove its triggers, or name another database"
    )
    assert is_empty(destination)


def test_a_destination_that_another_process_writes_into(ends: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    source, destination = ends
    fill(source)
    Store.open(destination).close()
    monkeypatch.setattr(engine, "BUSY_SECONDS", 1)
    with connect(destination) as writer:
        writer.exec_driver_sql("INSERT INTO bulwark_suppressions VALUES ('s', '*', '*', '*', '', 'alice', 1, NULL)")
        message = refusal(source, destination)
    assert message.endswith(
        f"the store {shown(destination)} was locked by another process for 1 seconds; look for one that hangs"
    )
    assert is_empty(destination)


def test_a_source_that_another_process_writes_into_is_copied(sqlite_urls: t.Iterator[str]) -> None:
    source, destination = next(sqlite_urls), next(sqlite_urls)
    fill(source)
    before = content(source)
    with contextlib.closing(sqlite3.connect(source.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM bulwark_seals")
        copy(source, destination)
    assert content(destination) == before
