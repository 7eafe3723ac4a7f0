# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of SQLAlchemy that the store needs."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError

try:
    import sqlalchemy
except ImportError:
    _VERSION = ""
else:
    _VERSION = sqlalchemy.__version__


def check() -> None:
    """Raise StoreError unless SQLAlchemy 2 is installed."""
    if not _VERSION.startswith("2."):
        found = _VERSION or "missing"
        raise StoreError(f"the store needs SQLAlchemy 2 on the controller ({found}): pip install 'SQLAlchemy>=2'")
