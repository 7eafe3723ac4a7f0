# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option that says where the store is."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and notes of everything that uses the store."""

    DOCUMENTATION = r"""
options:
  store:
    description:
      - SQLAlchemy URL of the store on the controller, as in V(sqlite:////var/lib/bulwark/findings.db) or
        V(postgresql://bulwark@db.example.com/bulwark).
      - Defaults to the environment variable E(BULWARK_STORE). Without it the members of a group that shares
        C(/var/lib/bulwark-store) use C(/var/lib/bulwark-store/findings.db), and everybody else the SQLite file
        C($XDG_STATE_HOME/bulwark/findings.db) (C(~/.local/state/bulwark/findings.db)).
      - Actions that write create the store where there is none, a file with mode C(0600); those that only read fail. An
        older one is upgraded; one that a newer version of this collection wrote is refused.
      - Keep a password out of the URL. PostgreSQL takes it from C(~/.pgpass) or E(PGPASSFILE).
    type: str
requirements:
  - Python package C(SQLAlchemy) 2 on the controller
  - Python package C(psycopg) 3 on the controller, for PostgreSQL
notes:
  - This action runs on the controller and makes no connection to the host.
  - SQLite serves one controller with any number of forks. Its file must not be on a network file system, where locks
    and its write-ahead log are not reliable (U(https://www.sqlite.org/useovernet.html)). Where several controllers or
    the slices of an AWX job write at once, use PostgreSQL.
"""
