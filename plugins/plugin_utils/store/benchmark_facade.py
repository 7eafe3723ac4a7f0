# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the store that is about benchmarks: controls, what people decided about them, and containers."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import control_query, judgements
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    BenchmarkRun,
    Container,
    ControlState,
    Judgement,
)


class BenchmarkStore:
    """The methods of ``Store`` about benchmarks; ``Store`` says how to use it."""

    _database: Database

    def controls(
        self,
        *,
        hosts: t.Sequence[str] = (),
        capabilities: t.Sequence[str] = (),
        benchmarks: t.Sequence[str] = (),
        controls: t.Sequence[str] = (),
        statuses: t.Sequence[str] = (),
        subjects: t.Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ControlState]:
        """Return the newest result of each control, by host, capability, benchmark, subject and control.

        hosts, subjects: names or patterns as in ``Query``. controls: the same, of ids or of the edition's numbers.
        """
        return self._database.read(
            lambda c: control_query.controls(
                c,
                hosts=hosts,
                capabilities=capabilities,
                benchmarks=benchmarks,
                controls=controls,
                statuses=statuses,
                subjects=subjects,
                limit=limit,
                offset=offset,
            )
        )

    def benchmark_runs(
        self,
        *,
        hosts: t.Sequence[str] = (),
        capabilities: t.Sequence[str] = (),
        benchmarks: t.Sequence[str] = (),
        subjects: t.Sequence[str] = (),
        run_id: str | None = None,
        since: float | None = None,
        until: float | None = None,
        newest: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[BenchmarkRun]:
        """Return how each subject of a host did in each run that was not pruned, the newest first.

        hosts, subjects: names or patterns as in ``Query``. newest: only the run that the subject's controls in the
        store come from; a subject that is gone has none.
        """
        return self._database.read(
            lambda c: control_query.runs(
                c,
                hosts=hosts,
                capabilities=capabilities,
                benchmarks=benchmarks,
                subjects=subjects,
                run_id=run_id,
                since=since,
                until=until,
                newest=newest,
                limit=limit,
                offset=offset,
            )
        )

    def containers(
        self,
        *,
        hosts: t.Sequence[str] = (),
        capabilities: t.Sequence[str] = (),
        subjects: t.Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Container]:
        """Return the containers of the newest inventory of each host. hosts, subjects: as in ``controls``."""
        return self._database.read(
            lambda c: control_query.containers(
                c, hosts=hosts, capabilities=capabilities, subjects=subjects, limit=limit, offset=offset
            )
        )

    def judgements(
        self,
        *,
        hosts: t.Sequence[str] = (),
        benchmarks: t.Sequence[str] = (),
        standing: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Judgement]:
        """Return what people decided about controls, the newest first.

        hosts: as in ``controls``. standing: only those that nobody took back or replaced; whether their time is over
        or their evidence has changed is for the reader to say.
        """
        return self._database.read(
            lambda c: judgements.search(
                c, hosts=hosts, benchmarks=benchmarks, standing=standing, limit=limit, offset=offset
            )
        )

    def judge(
        self,
        host: str,
        benchmark: str,
        control: str,
        subject: str | None = None,
        *,
        verdict: str,
        reason: str,
        by: str,
        now: float,
        until: float | None = None,
        digest: str | None = None,
    ) -> tuple[Judgement, bool]:
        """Judge a control that waits for a person, by the evidence that the store has; the next scan applies it.

        control: its id or number. subject: needed where the host has several. digest: of the evidence that the person
        looked at, if it is to be refused where that has changed. Returns the judgement, and whether it is another one
        than stood before. Raises StoreError for a control that no person is to judge.
        """
        about = (host, benchmark, control, subject)
        return self._database.write(
            lambda c: judgements.judge(
                c, about, verdict=verdict, reason=reason, by=by, until=until, now=now, digest=digest
            )
        )

    def take_back_judgement(
        self, host: str, benchmark: str, control: str, subject: str | None = None, *, reason: str, by: str, now: float
    ) -> list[Judgement]:
        """Take back what was judged about a control; return it. Without a subject, for all subjects of the host."""
        about = (host, benchmark, control, subject)
        return self._database.write(lambda c: judgements.take_back(c, about, reason=reason, by=by, now=now))
