# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the store is: its URL, read without ever showing a password."""

from __future__ import annotations

import contextlib
import os
import pathlib
import stat

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

ENVIRONMENT = "BULWARK_STORE"
# Not below /var/lib/bulwark, which only root can read: a controller may also be a scanned host.
SHARED = "/var/lib/bulwark-store"
_SHARED_MODE = 0o2770
# Parameters of libpq that have no password.
_HARMLESS = frozenset({"host", "port", "user"})
_FORMS = "write sqlite:////path/findings.db or postgresql://user@server/database"


def is_own(url: str | None) -> bool:
    """Return whether a store is the user's own one, because no URL names one and no group shares one."""
    return not url and not os.environ.get(ENVIRONMENT) and not is_shared(SHARED)


def default_url() -> str:
    """Return the URL in BULWARK_STORE, otherwise that of an SQLite file.

    It is in the directory that a group shares, if there is one and the user is a member, and otherwise in the user's
    state directory (XDG base directories).
    """
    configured = os.environ.get(ENVIRONMENT)
    if configured:
        return configured
    if is_shared(SHARED):
        return f"sqlite:///{SHARED}/findings.db"
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return f"sqlite:///{state}/bulwark/findings.db"


def is_shared(directory: str) -> bool:
    """Return whether root made a directory for a group that this process is a member of.

    Nobody else can have put it there or can change who gets in: it is no link, it is root's, it gives its group to what
    is made in it (setgid), and it has nothing for others (mode 2770).
    """
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    is_made_for_group = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == _SHARED_MODE
    return is_made_for_group and status.st_uid == 0 and status.st_gid in {os.getegid(), *os.getgroups()} - {0}


def parse(url: str) -> sa.URL:
    """Return the URL with the driver that the store uses; raise StoreError when it is none that the store supports."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # The URL may hold a password, also where it can't be parsed: don't repeat it.
        raise StoreError(f"the store's URL cannot be read: {_FORMS}") from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(parsed)
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreError(f"the store works with SQLite and PostgreSQL, not with '{backend}': {_FORMS}")


def _sqlite(url: sa.URL) -> sa.URL:
    if not url.database or url.database == ":memory:":
        raise StoreError(f"the store's URL names no file, so nothing would be kept: {_FORMS}")
    if url.query or url.host:
        raise StoreError(f"the store's SQLite URL has more than a path: {_FORMS}")
    return url.set(drivername="sqlite+pysqlite", database=os.path.abspath(os.path.expanduser(url.database)))


def shown(url: sa.URL) -> str:
    """Return the file, or the server's URL as errors may show it: no password, nor parameters, which may hold one."""
    path = file(url)
    return str(path) if path else url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


def without_password(url: str | None) -> str | None:
    """Return the URL of an open store unchanged, None for one that may have a password.

    Parameters may have one as well, as in ``postgresql:///findings?password=…``.
    """
    if not url:
        return None
    parsed = sa.make_url(url)
    return url if not parsed.password and parsed.query.keys() <= _HARMLESS else None


def file(url: sa.URL) -> pathlib.Path | None:
    """Return the SQLite file, or None for a server."""
    return pathlib.Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
