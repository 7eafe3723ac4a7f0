# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the store that says how far something reaches: shared observables and investigations."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import investigations, sharing
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Query
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.scope_model import (
    Elsewhere,
    Investigation,
    SharedObservable,
)


class ScopeStore:
    """The methods of ``Store`` about how far something reaches; ``Store`` says how to use it."""

    _database: Database

    def shared_observables(self, wanted: Query | None = None, now: float | None = None) -> list[SharedObservable]:
        """Return the observables that the findings of a query share with findings on other hosts.

        In the order of the findings; of a finding in that of its evidences. Values that nearly every host has are not
        among them, and paths, processes and accounts only if no more than ``sharing.WEAK_HOSTS`` hosts have them.
        """
        at = time.time() if now is None else now
        return self._database.read(lambda c: sharing.of_findings(c, wanted or Query(), at))

    def observables_elsewhere(self) -> dict[str, dict[int, Elsewhere]]:
        """Return the same of all findings at once: by uid, and by ``ocsf.observables.key``, all hosts with it."""
        return self._database.read(sharing.of_all)

    def observable_keys(self, uids: t.Sequence[str]) -> list[int]:
        """Return the keys, for ``Query.observables``, that connect findings with others; StoreError for an unknown."""
        return self._database.read(lambda c: sharing.keys_of_findings(c, uids))

    def record_investigation(
        self,
        *,
        host: str,
        subject: str,
        finding: str = "",
        run_id: str | None = None,
        by: str,
        summary: str,
        result: t.Any,
        now: float,
    ) -> str:
        """Record an investigation and return its id.

        finding: the uid of the finding that it began with; the investigation goes when the finding does. subject: what
        it began with, as a text. result: anything that JSON can hold, at most ``investigations.BYTES_LIMIT``. The
        newest ``investigations.LIMIT`` of a finding, or of a subject of a host, stay. StoreError if the finding is
        unknown or the result too large.
        """
        fields = {"host": host, "finding": finding, "subject": subject, "run_id": run_id, "at": now, "by": by}
        investigation = Investigation(id="", summary=summary, result=result, **t.cast("t.Any", fields))
        return self._database.write(lambda c: investigations.record(c, investigation))

    def investigations(
        self,
        *,
        ids: t.Sequence[str] = (),
        findings: t.Sequence[str] = (),
        hosts: t.Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        with_results: bool = True,
    ) -> list[Investigation]:
        """Return investigations, the newest first. hosts: names or patterns as in ``Query``; empty limits nothing.

        with_results: without them, which are most of an investigation, its result is None.
        """
        return self._database.read(
            lambda c: investigations.stored(
                c, ids=ids, findings=findings, hosts=hosts, limit=limit, offset=offset, with_results=with_results
            )
        )
