# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins: the digests of the files that the controller left on a host, by which a changed one is noticed."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_NAME = re.compile(r"[0-9A-Za-z._+/-]{1,300}")
# A digest, or the id of the last question.
_DIGEST = re.compile(r"[0-9a-f]{32,64}")


def get(connection: sa.Connection, host: str) -> dict[str, str]:
    """Return the pins of a host, the digest of each file by its name."""
    table = tables().pins
    rows = connection.execute(
        sa.select(table.c.name, table.c.digest).where(table.c.host == host).order_by(table.c.name)
    )
    return {row.name: row.digest for row in rows}


def replace(connection: sa.Connection, host: str, pins: t.Mapping[str, str]) -> None:
    """Write the pins of a host in place of those before; raise StoreError where one is malformed."""
    for name, digest in pins.items():
        if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
            raise StoreError(f"the pin '{name}' of {host} is malformed: it needs a name and a digest")
    if get(connection, host) == pins:
        return
    table = tables().pins
    connection.execute(table.delete().where(table.c.host == host))
    if pins:
        rows = [{"host": host, "name": name, "digest": digest} for name, digest in sorted(pins.items())]
        connection.execute(table.insert(), rows)
