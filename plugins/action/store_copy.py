# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the store to another database."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import STORE_OPTION, StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.copy import StoreCopy


class ActionModule(StoreActionBase):
    """Read the store, and write into the destination."""

    READS_ONLY = True
    ARGUMENTS: t.ClassVar[t.Mapping[str, t.Any]] = {
        "argument_spec": {**STORE_OPTION, "destination": {"type": "str", "required": True}},
    }

    def act(self, store: Store, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        copied = store.copy_to(options["destination"], dry=self._task.check_mode)
        if copied.unfinished is not None:
            started = dt.datetime.fromtimestamp(copied.unfinished, dt.UTC)
            self._display.warning(
                f"A run of {started:%Y-%m-%d %H:%M} UTC in {copied.source} was not closed. If it is still running, the "
                f"rest of its results is missing in {copied.destination}: let it end, and copy to an empty database."
            )
        return {
            "changed": True,
            "source": copied.source,
            "destination": copied.destination,
            "rows": sum(table.rows for table in copied.tables),
            "tables": [dataclasses.asdict(table) for table in copied.tables],
            "summary": _summary(copied),
        }


def _summary(copied: StoreCopy) -> list[str]:
    """Return a table for a terminal, and what to do next."""
    lines = [f"{'table':<27}{'rows':>9}  digest"]
    lines += [f"{table.name:<27}{table.rows:>9}  {table.digest or '-'}".rstrip() for table in copied.tables]
    ends = f"from {copied.source} to {copied.destination}"
    if any(table.digest is None for table in copied.tables):
        return [*lines, f"This would be copied {ends}."]
    return [
        *lines,
        f"Copied {ends}. Each table was read back and is the same.",
        "From now on, name the destination in BULWARK_STORE or bulwark_store, and scan with no other store.",
    ]
