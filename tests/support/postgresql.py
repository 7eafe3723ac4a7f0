# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server of the test's own: a new cluster below /tmp that listens on a socket in it and nowhere else."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

import psycopg

from tests.support import commands, waiting

# initdb and postgres refuse to run as root.
_ACCOUNT = "postgres"
_USER = "bulwark"


class Server:
    """A running server."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._schemas = 0

    def empty_database(self) -> str:
        """Return the URL of a database that holds nothing yet: a schema of its own, which takes no time to make."""
        self._schemas += 1
        with self._connect() as connection:
            connection.execute(f"CREATE SCHEMA test{self._schemas}")
        return f"postgresql://{_USER}@/postgres?host={self._directory}&options=-csearch_path%3Dtest{self._schemas}"

    def guarded_database(self) -> str:
        """Return the URL of the database for a user ``weak`` with the password ``right``, which it doesn't have."""
        with self._connect() as connection:
            connection.execute("DROP ROLE IF EXISTS weak")
            connection.execute("CREATE ROLE weak LOGIN PASSWORD 'right'")
        return f"postgresql://weak@/postgres?host={self._directory}"

    def is_up(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def processor_seconds(self) -> float:
        """The processor time of the server so far, with all its processes."""
        pid = int((self._directory / "data" / "postmaster.pid").read_text().split(maxsplit=1)[0])
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        # Its own, and of those that have ended; then of those that run.
        ticks = sum(_ticks(pid)) + sum(sum(_ticks(int(child))[:2]) for child in children)
        return ticks / os.sysconf("SC_CLK_TCK")

    def _connect(self) -> psycopg.Connection[t.Any]:
        return psycopg.connect(host=str(self._directory), user=_USER, dbname="postgres", autocommit=True)


def _ticks(pid: int) -> list[int]:
    """Return utime, stime, cutime and cstime of a process (proc_pid_stat(5)), 0 when it is gone."""
    with contextlib.suppress(OSError):
        return [int(field) for field in pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    return [0, 0, 0, 0]


@contextlib.contextmanager
def running() -> t.Iterator[Server]:
    """Start a server; stop it and remove everything of it at the end."""
    programs = commands.postgresql()
    assert programs is not None, "the test says require('postgresql')"
    identity: dict[str, t.Any] = {}
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bulwark-postgresql-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, _ACCOUNT, _ACCOUNT)
            identity = {"user": _ACCOUNT, "group": _ACCOUNT, "extra_groups": []}
        data = directory / "data"
        command = [str(programs / "initdb"), "-D", str(data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=directory, **identity)
        rules = data / "pg_hba.conf"
        rules.write_text(f"local all weak scram-sha-256\n{rules.read_text()}")
        server = Server(directory)
        with _process(programs, directory, data, identity) as process:
            deadline = time.monotonic() + waiting.SECONDS
            while not server.is_up():
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < deadline, "the server doesn't come up"
                time.sleep(0.1)
            yield server
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def _process(
    programs: pathlib.Path, directory: pathlib.Path, data: pathlib.Path, identity: dict[str, t.Any]
) -> t.Iterator[subprocess.Popen[bytes]]:
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(directory), "-c", "listen_addresses="]
    # Nothing here has to survive a power failure.
    command += ["-c", "fsync=off", "-c", "full_page_writes=off"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, **identity)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGQUIT)  # "immediate shutdown": nothing is kept, so nothing is put in order
            process.wait()
