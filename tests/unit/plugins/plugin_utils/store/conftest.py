# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test of the store runs with both databases, unless it asks for ``sqlite_url``."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.support import postgresql

# One worker, and so one server, for all of them.
_POSTGRESQL = [pytest.mark.requires("postgresql", "module:psycopg"), pytest.mark.xdist_group("postgresql")]


@pytest.fixture(scope="session")
def postgresql_server() -> t.Iterator[postgresql.Server]:
    with postgresql.running() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: pathlib.Path) -> str:
    """Return the URL of an SQLite file in a directory, neither of which is there yet."""
    return f"sqlite:///{tmp_path}/state/findings.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=_POSTGRESQL)])
def store_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a store that nothing has opened yet."""
    if request.param == "sqlite":
        return t.cast("str", request.getfixturevalue("sqlite_url"))
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    return server.empty_database()


@pytest.fixture
def store(store_url: str) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(store_url)) as opened:
        yield opened


@pytest.fixture
def sqlite_urls(tmp_path: pathlib.Path) -> t.Iterator[str]:
    """Return URLs of files that are not there yet, for those who need several."""
    return (f"sqlite:///{tmp_path}/state{number}/findings.db" for number in itertools.count())


@pytest.fixture
def postgresql_urls(postgresql_server: postgresql.Server) -> t.Iterator[str]:
    """Return URLs of databases without a store, for those who need several."""
    return (postgresql_server.empty_database() for _number in itertools.count())


@pytest.fixture(params=[pytest.param(kind, marks=_POSTGRESQL) for kind in ("to_postgresql", "to_sqlite")])
def ends(
    request: pytest.FixtureRequest, sqlite_urls: t.Iterator[str], postgresql_urls: t.Iterator[str]
) -> tuple[str, str]:
    """Return the URLs of a source and a destination in the two databases; neither has a store yet."""
    urls = next(sqlite_urls), next(postgresql_urls)
    return urls if request.param == "to_postgresql" else (urls[1], urls[0])
