# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load once, before Ansible forks for each task of each host, what whoever opens a store needs."""

from __future__ import annotations

import contextlib

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import engine, schema, sqlalchemy_version
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError


def everything() -> None:
    """Make the tables and load what SQLAlchemy has for SQLite, which takes as long as a small task.

    An index that is for PostgreSQL alone has it load that dialect, too. Without SQLAlchemy nothing is done:
    ``Store.open`` says what is missing.
    """
    with contextlib.suppress(StoreError):
        sqlalchemy_version.check()
        schema.tables()
        engine.memory().dispose()
