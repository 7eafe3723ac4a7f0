# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each host's logs were read, by the token that the host gave its reader's state (module_utils/_checkpoint.py).

It changes in the transaction that records what was read until there, and no other way.
"""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_NAME = re.compile(r"[a-z_]{1,64}")
_TOKEN = re.compile(r"[0-9a-z-]{1,128}")


def get(connection: sa.Connection, host: str, name: str) -> str | None:
    table = tables().checkpoints
    query = sa.select(table.c.token).where(table.c.host == host, table.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def tokens(connection: sa.Connection, host: str) -> dict[str, str]:
    """Return the tokens of all readers of a host's logs, by name."""
    table = tables().checkpoints
    rows = connection.execute(sa.select(table.c.name, table.c.token).where(table.c.host == host))
    return {row.name: row.token for row in rows}


def advanced(stored: t.Mapping[str, str], reported: t.Any) -> tuple[str, str] | None:
    """Return name and token of the checkpoint of a result; None for no checkpoint, or where its findings are known.

    reported: as a module returned it, ``name``, ``token`` and ``after``, the token that it went on from. Where the
    store has another one by now, another run read the same logs at the same time and was recorded first: what it read
    is done, and whatever came later is read again by the next run. Raises StoreError when it is none.
    """
    if reported is None:
        return None
    name, token, after = _fields(reported)
    return (name, token) if stored.get(name) in (after, token) else None


def write(connection: sa.Connection, host: str, accepted: t.Mapping[str, tuple[str, str]], now: float) -> None:
    """Write checkpoints of a host: capability and token by name."""
    rows = [
        {"host": host, "name": name, "capability": capability, "token": token, "at": now}
        for name, (capability, token) in accepted.items()
    ]
    sql.upsert(connection, tables().checkpoints, rows, update=("capability", "token", "at"))


def forget(connection: sa.Connection, host: str, capabilities: t.Sequence[str]) -> None:
    """Forget how far capabilities have read a host's logs: the next run reads them anew."""
    table = tables().checkpoints
    connection.execute(table.delete().where(table.c.host == host, table.c.capability.in_(capabilities)))


def _fields(reported: t.Any) -> tuple[str, str, str | None]:
    if isinstance(reported, dict):
        name, token, after = reported.get("name"), reported.get("token"), reported.get("after")
        if _fits(name, _NAME) and _fits(token, _TOKEN) and (after is None or _fits(after, _TOKEN)):
            return name, token, after
    raise StoreError("the host returned an invalid checkpoint, so its result was not recorded; check the host")


def _fits(value: t.Any, pattern: re.Pattern[str]) -> t.TypeGuard[str]:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
