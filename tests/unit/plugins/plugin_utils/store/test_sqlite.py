# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is SQLite's own: the file, its locks, and what can be wrong with it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Store,
    StoreError,
    database,
    engine,
    location,
    sqlalchemy_version,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.migrations import VERSION

from tests.support import paths, require
from tests.unit.plugins.plugin_utils.store.samples import finding, record


@pytest.fixture
def store(sqlite_url: str) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(sqlite_url)) as opened:
        yield opened


def open_and_close(url: str) -> None:
    Store.open(url).close()


def test_the_file_and_its_directories_are_private_whatever_the_umask(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "state" / "bulwark" / "findings.db"
    before = os.umask(0)
    try:
        with contextlib.closing(Store.open(f"sqlite:///{file}")) as store:
            record(store, 100, [finding()])
            modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"findings.db": 0o600, "findings.db-wal": 0o600, "findings.db-shm": 0o600}
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_was_shared_on_purpose_stays_so(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "findings.db"
    open_and_close(f"sqlite:///{file}")
    file.chmod(0o640)
    open_and_close(f"sqlite:///{file}")
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_link_to_nowhere_is_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "findings.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"findings.db is not a file"):
        open_and_close(f"sqlite:///{tmp_path}/findings.db")
    assert not (tmp_path / "elsewhere").exists()


def test_the_write_ahead_log_is_used_and_foreign_keys_hold(sqlite_url: str, store: Store) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    record(store, 100, [finding()])
    assert store.forget(["web1"], by="alice", now=200)["findings"] == 1
    assert store.history() == []


def test_a_reader_does_not_wait_for_a_writer(sqlite_url: str, store: Store) -> None:
    record(store, 100, [finding()])
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert len(store.query()) == 1


def test_a_writer_that_waits_too_long_says_for_what(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_and_close(sqlite_url)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with contextlib.closing(Store.open(sqlite_url)) as store, pytest.raises(StoreError) as error:
            record(store, 100)
    path = sqlite_url.removeprefix("sqlite:///")
    expected = f"the store {path} was locked by another process for 0.2 seconds; look for one that hangs"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "the store's URL cannot be read: write sqlite:////path/findings.db or postgresql://"),
        ("postgresql://user:geheim@host:port/db", "the store's URL cannot be read"),
        ("mysql://user:geheim@host/db", "the store works with SQLite and PostgreSQL, not with 'mysql'"),
        ("sqlite://", "the store's URL names no file, so nothing would be kept"),
        ("sqlite:///:memory:", "the store's URL names no file, so nothing would be kept"),
        ("sqlite:///x.db?mode=ro", "the store's SQLite URL has more than a path"),
        (
            "sqlite:////proc/no/findings.db",
            "the store /proc/no/findings.db cannot be created: No such file or directory",
        ),
        ("sqlite:////dev/null", "the store /dev/null is not a file; name the database file itself"),
        ("sqlite:////tmp", "the store /tmp is not a file; name the database file itself"),
    ],
)
def test_a_url_that_is_none_is_explained_without_its_password(url: str, message: str) -> None:
    with pytest.raises(StoreError) as error:
        open_and_close(url)
    assert str(error.value).startswith(message)
    assert "geheim" not in str(error.value)


def test_no_url_shows_its_password() -> None:
    url = location.parse("postgres://bulwark:geheim@db/bulwark?password=geheim&sslkey=geheim")
    assert location.shown(url) == "postgresql://bulwark:***@db/bulwark"


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    require("module:psycopg")
    with pytest.raises(StoreError) as error:
        open_and_close("postgresql://bulwark:geheim@127.0.0.1:1/bulwark")
    assert str(error.value) == (
        "the store postgresql://bulwark:***@127.0.0.1:1/bulwark does not answer: connection to server at "
        '"127.0.0.1", port 1 failed: Connection refused; start the server, or correct the URL'
    )


def damaged(path: pathlib.Path, kind: str) -> None:
    open_and_close(f"sqlite:///{path}")
    data = path.read_bytes()
    if kind == "text":
        path.write_text("This is no database. " * 100)
    elif kind == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "overwritten":
        path.write_bytes(data[:100] + os.urandom(len(data) - 100))
    elif kind == "another program's":
        path.unlink()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE bookmarks (url TEXT)")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "is not an SQLite database; name another file or restore it from a backup"),
        ("cut", "is damaged; restore it from a backup, or move it away to start a new one"),
        ("overwritten", "is damaged; restore it from a backup, or move it away to start a new one"),
        ("another program's", "is another program's database; name a file of its own for the store"),
    ],
)
def test_a_file_that_is_no_store_is_explained_and_left_alone(tmp_path: pathlib.Path, kind: str, message: str) -> None:
    path = tmp_path / "findings.db"
    damaged(path, kind)
    before = path.read_bytes()
    with pytest.raises(StoreError) as error, contextlib.closing(Store.open(f"sqlite:///{path}")) as store:
        record(store, 100, [finding()])
    assert str(error.value) in (f"the store {path} {message}", f"the SQLite file {message}")
    assert path.read_bytes() == before or kind in ("cut", "overwritten")


def test_an_empty_file_becomes_a_store(tmp_path: pathlib.Path) -> None:
    (tmp_path / "findings.db").touch()
    open_and_close(f"sqlite:///{tmp_path}/findings.db")


@pytest.mark.parametrize("mode", ["write", "check", "read"])
def test_a_newer_store_is_refused(sqlite_url: str, mode: database.Mode) -> None:
    open_and_close(sqlite_url)
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE bulwark_schema SET version = 99")
        connection.commit()
    with pytest.raises(StoreError, match=f"has schema 99, and this collection knows {VERSION}: a newer version"):
        Store.open(sqlite_url, mode=mode)


def test_a_full_disk_is_named_and_nothing_is_half_written(sqlite_url: str, store: Store) -> None:
    record(store, 100, [finding()])
    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    store.close()

    def limited(connection: t.Any, _record: t.Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    import sqlalchemy as sa

    sa.event.listen(sa.Engine, "connect", limited)
    try:
        with (
            contextlib.closing(Store.open(sqlite_url)) as full,
            pytest.raises(StoreError, match="cannot grow, its disk"),
        ):
            record(full, 200, [finding(f"/etc/{number}") for number in range(200)])
    finally:
        sa.event.remove(sa.Engine, "connect", limited)
    with contextlib.closing(Store.open(sqlite_url)) as store:
        assert [found.subject for found in store.query()] == ["/etc/passwd"]


def test_a_directory_that_is_another_s_is_named() -> None:
    require("root")
    with tempfile.TemporaryDirectory() as closed:
        os.chmod(closed, 0o755)  # noqa: S103
        _is_named_to_another(closed)


def _is_named_to_another(closed: str) -> None:
    code = (
        "from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError\n"
        f"try:\n    Store.open('sqlite:///{closed}/findings.db')\n"
        "except StoreError as error:\n    print(error)\n"
    )
    answer = as_nobody(code)
    assert answer.stdout == f"the store {closed}/findings.db cannot be created: Permission denied\n", answer.stderr
    open_and_close(f"sqlite:///{closed}/findings.db")
    answer = as_nobody(code)
    expected = "cannot be opened; its file and directory must belong to the account that runs Ansible"
    assert expected in answer.stdout, answer.stderr


def as_nobody(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python as an account without any rights; what it needs is imported before the rights are gone."""
    imports = "import os, sqlite3, sqlalchemy.dialects.sqlite\n"
    imports += "import ansible_collections.bulwark.servers.plugins.plugin_utils.store\n"
    command = [sys.executable, "-c", f"{imports}os.setgroups([]); os.setgid(65534); os.setuid(65534)\n{code}"]
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_default_is_in_the_user_s_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BULWARK_STORE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/alice")
    assert location.default_url() == "sqlite:////home/alice/.local/state/bulwark/findings.db"
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert location.default_url() == "sqlite:////var/state/bulwark/findings.db"
    monkeypatch.setenv("BULWARK_STORE", "postgresql://db/bulwark")
    assert location.default_url() == "postgresql://db/bulwark"


def test_a_path_is_relative_to_where_one_is_or_to_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    monkeypatch.setenv("HOME", "/home/alice")
    assert location.file(location.parse("sqlite:///x.db")) == pathlib.Path("/tmp/x.db")
    assert location.file(location.parse("sqlite:///~/x.db")) == pathlib.Path("/home/alice/x.db")


@pytest.mark.parametrize(("version", "found"), [("", "(missing)"), ("1.4.54", "(1.4.54)"), ("3.0", "(3.0)")])
def test_without_the_right_sqlalchemy_the_way_to_get_it_is_named(
    monkeypatch: pytest.MonkeyPatch, version: str, found: str
) -> None:
    monkeypatch.setattr(sqlalchemy_version, "_VERSION", version)
    with pytest.raises(StoreError) as error:
        Store.open("sqlite:////tmp/x.db")
    assert str(error.value) == f"the store needs SQLAlchemy 2 on the controller {found}: pip install 'SQLAlchemy>=2'"


def test_everything_can_be_imported_without_sqlalchemy() -> None:
    """As ansible-test sanity does, and so that a missing package is one sentence."""
    code = (
        "import sys\nsys.modules['sqlalchemy'] = None\n"
        "from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError\n"
        "try:\n    Store.open('sqlite:////tmp/x.db')\nexcept StoreError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith("the store needs SQLAlchemy 2"), answer.stderr


def test_whoever_opens_a_store_after_ansible_forked_loads_no_code(tmp_path: pathlib.Path) -> None:
    code = (
        "import sys\n"
        "from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store\n"
        "before = set(sys.modules)\n"
        f"store = Store.open('sqlite:///{tmp_path}/x.db')\nstore.runs(1)\nstore.close()\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
