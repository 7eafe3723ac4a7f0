# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database's driver complains about, in words that say what to do.

The driver's own words name no file, hold line breaks, and repeat themselves for each address of a server; SQLAlchemy's
have the statement and its values too.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import engine

_PASSWORD = "put it into ~/.pgpass (https://www.postgresql.org/docs/current/libpq-pgpass.html)"  # noqa: S105 - advice
_OWNER = "its file and directory must belong to the account that runs Ansible"

# Messages of SQLite (https://www.sqlite.org/rescode.html) and libpq, and the text after the name of the store.
_SIGNS: t.Sequence[tuple[str, str]] = (
    (
        "database is locked|due to lock timeout",
        "was locked by another process for {seconds} seconds; look for one that hangs",
    ),
    ("file is not a database", "is not an SQLite database; name another file or restore it from a backup"),
    ("malformed", "is damaged; restore it from a backup, or move it away to start a new one"),
    ("unable to open database file", "cannot be opened; " + _OWNER),
    ("attempt to write a readonly database", "cannot be written; " + _OWNER),
    ("database or disk is full", "cannot grow, its disk is full; free some space, or prune it"),
    (r'password authentication failed for user "([^"]*)"', "refuses the password of user '{0}'; " + _PASSWORD),
    ("no password supplied", "requires a password; " + _PASSWORD),
    (r'(?:database|role) "([^"]*)" does not exist', "cannot be opened: {match}; create it, or correct the URL"),
    (
        r"no pg_hba\.conf entry for [^\n]*",
        "refuses connections from this controller: {match}; allow them in its pg_hba.conf",
    ),
    (
        r"permission denied for [^\n]*",
        "cannot be used: {match}; its tables and schema must belong to the user in the URL",
    ),
)
_UNANSWERED = re.compile(
    r"failed to resolve host [^\n]*|connection to server (?:at|on) [^\n]*|connection timeout[^\n]*"
)


def explained(error: BaseException) -> str:
    """Return what is wrong with the store, to be said after its name."""
    said = str(error).strip()
    for sign, words in _SIGNS:
        match = re.search(sign, said)
        if match:
            return words.format(*match.groups(), match=match.group(), seconds=engine.BUSY_SECONDS)
    match = _UNANSWERED.search(said)
    if match:
        return f"does not answer: {match.group().rstrip('.')}; start the server, or correct the URL"
    return f"failed: {' '.join(said.split())}"
