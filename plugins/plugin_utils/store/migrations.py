# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema's version: create it, upgrade it, refuse one that is newer than this code."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    outbox_migration,
    scope_migration,
    simulation_migration,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def _explained_and_last_checked(connection: sa.Connection) -> None:
    """Make room for what explained changes, and note when each host was last looked at, which coverage tells."""
    number = "DOUBLE PRECISION" if connection.dialect.name == "postgresql" else "DOUBLE"
    for statement in (
        """CREATE TABLE bulwark_explained (
            run_id TEXT NOT NULL,
            host TEXT NOT NULL,
            capability TEXT NOT NULL,
            position INTEGER NOT NULL,
            scope TEXT NOT NULL,
            "by" TEXT NOT NULL,
            count BIGINT NOT NULL,
            examples TEXT NOT NULL,
            PRIMARY KEY (run_id, host, capability, position),
            FOREIGN KEY (run_id, host, capability) REFERENCES bulwark_coverage (run_id, host, capability)
                ON DELETE CASCADE
        )""",
        'CREATE INDEX ix_bulwark_explained_by ON bulwark_explained ("by")',
        f"ALTER TABLE bulwark_latest ADD COLUMN checked {number}",
        """UPDATE bulwark_latest SET checked = (
            SELECT max(seen.recorded) FROM bulwark_coverage AS seen
            WHERE seen.host = bulwark_latest.host AND seen.capability = bulwark_latest.capability
                AND seen.status <> 'not_checked'
        )""",
    ):
        connection.exec_driver_sql(statement)


def _checkpoints_and_accepted(connection: sa.Connection) -> None:
    """Make room for how far logs were read (nothing was, until then) and for what is accepted with a seal."""
    number = "DOUBLE PRECISION" if connection.dialect.name == "postgresql" else "DOUBLE"
    connection.exec_driver_sql(
        f"""CREATE TABLE bulwark_checkpoints (
            host TEXT NOT NULL,
            name TEXT NOT NULL,
            capability TEXT NOT NULL,
            token TEXT NOT NULL,
            at {number} NOT NULL,
            PRIMARY KEY (host, name)
        )"""
    )
    for table in ("bulwark_seals", "bulwark_seal_history"):
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN accepted TEXT")


def _jit_requests(connection: sa.Connection) -> None:
    """Make room for requests to open ports for a while, and what happened to them."""
    postgresql = connection.dialect.name == "postgresql"
    number, counted = ("DOUBLE PRECISION", "SERIAL") if postgresql else ("DOUBLE", "INTEGER")
    for statement in (
        f"""CREATE TABLE bulwark_jit_requests (
            id TEXT NOT NULL,
            host TEXT NOT NULL,
            ports TEXT NOT NULL,
            protocol TEXT NOT NULL,
            sources TEXT NOT NULL,
            duration INTEGER NOT NULL,
            requested_by TEXT NOT NULL,
            for_whom TEXT NOT NULL,
            justification TEXT NOT NULL,
            requested_at {number} NOT NULL,
            valid_until {number} NOT NULL,
            state TEXT NOT NULL,
            decided_by TEXT,
            decided_at {number},
            decision_reason TEXT,
            opened_by TEXT,
            opened_at {number},
            until {number},
            grant_id TEXT,
            ended_by TEXT,
            ended_at {number},
            end_reason TEXT,
            PRIMARY KEY (id)
        )""",
        "CREATE INDEX ix_bulwark_jit_requests_host ON bulwark_jit_requests (host)",
        "CREATE INDEX ix_bulwark_jit_requests_requested_at ON bulwark_jit_requests (requested_at)",
        f"""CREATE TABLE bulwark_jit_history (
            id {counted} NOT NULL,
            at {number} NOT NULL,
            request TEXT NOT NULL,
            host TEXT NOT NULL,
            state TEXT NOT NULL,
            "by" TEXT NOT NULL,
            reason TEXT NOT NULL,
            PRIMARY KEY (id),
            FOREIGN KEY (request) REFERENCES bulwark_jit_requests (id)
        )""",
        "CREATE INDEX ix_bulwark_jit_history_request ON bulwark_jit_history (request)",
    ):
        connection.exec_driver_sql(statement)


def _jit_people_and_use(connection: sa.Connection) -> None:
    """Make room for who did each step by the kernel's word, and for what came in through an opening."""
    number = "DOUBLE PRECISION" if connection.dialect.name == "postgresql" else "DOUBLE"
    people = [
        f"{step}_{name} TEXT"
        for step in ("requested", "decided", "opened", "ended")
        for name in ("account", "login", "asserted")
    ]
    used = ["used_packets BIGINT", "used_bytes BIGINT", f"used_first {number}", f"used_last {number}"]
    for column in (*people, *used):
        connection.exec_driver_sql(f"ALTER TABLE bulwark_jit_requests ADD COLUMN {column}")
    connection.exec_driver_sql("CREATE INDEX ix_bulwark_jit_requests_state ON bulwark_jit_requests (state)")
    for name in ("account", "login", "asserted"):
        connection.exec_driver_sql(f"ALTER TABLE bulwark_jit_history ADD COLUMN {name} TEXT")


def _pins(connection: sa.Connection) -> None:
    """Make room for the digests of what the controller left on hosts."""
    connection.exec_driver_sql(
        """CREATE TABLE bulwark_pins (
            host TEXT NOT NULL,
            name TEXT NOT NULL,
            digest TEXT NOT NULL,
            PRIMARY KEY (host, name)
        )"""
    )


def _controls(connection: sa.Connection) -> None:
    """Make room for the controls of benchmarks, what people decided about them, and the inventory of containers."""
    postgresql = connection.dialect.name == "postgresql"
    number, counted = ("DOUBLE PRECISION", "SERIAL") if postgresql else ("DOUBLE", "INTEGER")
    for statement in (
        f"""CREATE TABLE bulwark_controls (
            host TEXT NOT NULL,
            capability TEXT NOT NULL,
            benchmark TEXT NOT NULL,
            subject TEXT NOT NULL,
            control TEXT NOT NULL,
            run_id TEXT NOT NULL,
            at {number} NOT NULL,
            scope TEXT NOT NULL,
            edition TEXT NOT NULL,
            number TEXT NOT NULL,
            status TEXT NOT NULL,
            since {number} NOT NULL,
            previous_status TEXT,
            previous_since {number},
            severity TEXT NOT NULL,
            weight INTEGER NOT NULL,
            reason TEXT NOT NULL,
            examined BIGINT NOT NULL,
            count BIGINT NOT NULL,
            evidences TEXT NOT NULL,
            excepted_count BIGINT NOT NULL,
            excepted TEXT NOT NULL,
            digest TEXT NOT NULL,
            judgement TEXT,
            PRIMARY KEY (host, capability, benchmark, subject, control)
        )""",
        "CREATE INDEX ix_bulwark_controls_control ON bulwark_controls (control)",
        "CREATE INDEX ix_bulwark_controls_number ON bulwark_controls (number)",
        "CREATE INDEX ix_bulwark_controls_run ON bulwark_controls (host, capability, benchmark, subject, run_id)",
        f"""CREATE TABLE bulwark_benchmark_runs (
            run_id TEXT NOT NULL,
            host TEXT NOT NULL,
            capability TEXT NOT NULL,
            benchmark TEXT NOT NULL,
            subject TEXT NOT NULL,
            edition TEXT NOT NULL,
            at {number} NOT NULL,
            statuses TEXT NOT NULL,
            weights TEXT NOT NULL,
            PRIMARY KEY (run_id, host, capability, benchmark, subject)
        )""",
        "CREATE INDEX ix_bulwark_benchmark_runs_at ON bulwark_benchmark_runs (at)",
        "CREATE INDEX ix_bulwark_benchmark_runs_host ON bulwark_benchmark_runs (host, capability)",
        f"""CREATE TABLE bulwark_judgements (
            id {counted} NOT NULL,
            host TEXT NOT NULL,
            capability TEXT NOT NULL,
            benchmark TEXT NOT NULL,
            subject TEXT NOT NULL,
            control TEXT NOT NULL,
            digest TEXT NOT NULL,
            verdict TEXT NOT NULL,
            reason TEXT NOT NULL,
            "by" TEXT NOT NULL,
            created {number} NOT NULL,
            until {number},
            ended {number},
            ended_by TEXT,
            ended_reason TEXT,
            PRIMARY KEY (id)
        )""",
        "CREATE INDEX ix_bulwark_judgements_host ON bulwark_judgements (host, benchmark)",
        f"""CREATE TABLE bulwark_containers (
            host TEXT NOT NULL,
            capability TEXT NOT NULL,
            subject TEXT NOT NULL,
            position INTEGER NOT NULL,
            scope TEXT NOT NULL,
            container TEXT NOT NULL,
            run_id TEXT NOT NULL,
            at {number} NOT NULL,
            PRIMARY KEY (host, capability, subject, position)
        )""",
    ):
        connection.exec_driver_sql(statement)


def _programs(connection: sa.Connection) -> None:
    """Make room for the programs that ran on hosts."""
    postgresql = connection.dialect.name == "postgresql"
    number, counted = ("DOUBLE PRECISION", "SERIAL") if postgresql else ("DOUBLE", "INTEGER")
    for statement in (
        f"""CREATE TABLE bulwark_programs (
            id {counted} NOT NULL,
            digest TEXT NOT NULL,
            kind TEXT NOT NULL,
            path TEXT NOT NULL,
            image TEXT NOT NULL,
            interpreter TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            content TEXT NOT NULL,
            manager TEXT NOT NULL,
            package TEXT NOT NULL,
            version TEXT NOT NULL,
            verification TEXT NOT NULL,
            origin TEXT NOT NULL,
            owner TEXT NOT NULL,
            writers TEXT NOT NULL,
            PRIMARY KEY (id)
        )""",
        "CREATE UNIQUE INDEX ix_bulwark_programs_digest ON bulwark_programs (digest)",
        "CREATE INDEX ix_bulwark_programs_sha256 ON bulwark_programs (sha256)",
        f"CREATE INDEX ix_bulwark_programs_path ON bulwark_programs {'USING hash ' if postgresql else ''}(path)",
        f"""CREATE TABLE bulwark_program_hosts (
            id {counted} NOT NULL,
            host TEXT NOT NULL,
            capability TEXT NOT NULL,
            distribution TEXT NOT NULL,
            since {number} NOT NULL,
            until {number} NOT NULL,
            days INTEGER NOT NULL,
            "groups" TEXT NOT NULL,
            roles TEXT NOT NULL,
            PRIMARY KEY (id)
        )""",
        "CREATE UNIQUE INDEX ix_bulwark_program_hosts_host ON bulwark_program_hosts (host)",
        f"""CREATE TABLE bulwark_program_sightings (
            host INTEGER NOT NULL,
            program INTEGER NOT NULL,
            first {number} NOT NULL,
            last {number} NOT NULL,
            days INTEGER NOT NULL,
            last_day INTEGER NOT NULL,
            executions BIGINT NOT NULL,
            explained BIGINT NOT NULL,
            users TEXT NOT NULL,
            parents TEXT NOT NULL,
            PRIMARY KEY (host, program),
            FOREIGN KEY (host) REFERENCES bulwark_program_hosts (id) ON DELETE CASCADE,
            FOREIGN KEY (program) REFERENCES bulwark_programs (id)
        ){"" if postgresql else " WITHOUT ROWID"}""",
        "CREATE INDEX ix_bulwark_program_sightings_program ON bulwark_program_sightings (program)",
    ):
        connection.exec_driver_sql(statement)


def _app_windows(connection: sa.Connection) -> None:
    """Make room for maintenance windows of application control."""
    number = "DOUBLE PRECISION" if connection.dialect.name == "postgresql" else "DOUBLE"
    for statement in (
        f"""CREATE TABLE bulwark_app_windows (
            id TEXT NOT NULL,
            host TEXT NOT NULL,
            opened_by TEXT NOT NULL,
            opened_account TEXT NOT NULL,
            opened_login TEXT,
            opened_asserted TEXT,
            reason TEXT NOT NULL,
            opened_at {number} NOT NULL,
            until {number} NOT NULL,
            state TEXT NOT NULL,
            ended_at {number},
            ended_by TEXT,
            end_reason TEXT,
            PRIMARY KEY (id)
        )""",
        "CREATE INDEX ix_bulwark_app_windows_host ON bulwark_app_windows (host)",
    ):
        connection.exec_driver_sql(statement)


# The step at position N upgrades version N + 1 to N + 2. A released step never changes, so it is written out and makes
# no use of ``schema``, which tells of the newest version.
STEPS: tuple[t.Callable[[sa.Connection], None], ...] = (
    _explained_and_last_checked,
    _checkpoints_and_accepted,
    _jit_requests,
    _jit_people_and_use,
    _pins,
    _controls,
    _programs,
    _app_windows,
    outbox_migration.create,
    scope_migration.create,
    simulation_migration.create,
)
VERSION = 1 + len(STEPS)

# Any number will do, as long as nothing else in the same database uses it.
_CREATION_LOCK = 0x6275_6C77_6172_6B


def exists(connection: sa.Connection) -> bool:
    """Return whether the database holds a store; raise StoreError when it is one that this code can't read."""
    return _version(connection) is not None


def is_current(connection: sa.Connection) -> bool:
    """Return whether the store has this code's schema; raise StoreError when it is one that this code can't read."""
    return _version(connection) == VERSION


def upgrade(connection: sa.Connection) -> None:
    """Create the tables, or bring them to this code's version."""
    if connection.dialect.name == "postgresql":
        # Two first runs at once would both create the tables. SQLite's write lock is held already.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
    schema = tables().schema
    version = _version(connection)
    if version is None:
        tables().metadata.create_all(connection)
        connection.execute(schema.insert().values(id=1, version=VERSION))
        return
    for step in STEPS[version - 1 :]:
        step(connection)
    connection.execute(schema.update().values(version=VERSION))


def _version(connection: sa.Connection) -> int | None:
    schema = tables().schema
    inspector = sa.inspect(connection)
    if not inspector.has_table(schema.name):
        if connection.dialect.name == "sqlite" and inspector.get_table_names():
            raise StoreError("the SQLite file is another program's database; name a file of its own for the store")
        return None
    version = connection.execute(sa.select(schema.c.version)).scalar_one_or_none()
    if version is not None and version > VERSION:
        raise StoreError(
            f"the store has schema {version}, and this collection knows {VERSION}: "
            "a newer version of bulwark.servers wrote it, so upgrade the collection on this controller"
        )
    return version
