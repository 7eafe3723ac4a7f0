# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the result of an investigation in the store, outside of a run."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store


def record(result: t.Mapping[str, t.Any], host: str, url: str | None, by: str, now: float) -> str:
    """Record what investigation_info returns; return the id. Raises StoreError.

    url: of the store, None for the default. by: who asked for it. now: seconds since the epoch.
    """
    about = result["investigated"]
    with contextlib.closing(Store.open(url)) as store:
        return store.record_investigation(
            host=host,
            subject=about["subject"],
            finding=about["finding"],
            by=by,
            summary="\n".join(about["summary"]),
            result=result["investigation"],
            now=now,
        )
