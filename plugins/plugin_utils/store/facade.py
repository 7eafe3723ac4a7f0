# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: everything that is remembered between runs, behind one class."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    checkpoints,
    copy,
    coverage_history,
    decisions,
    explained,
    location,
    patterns,
    pins,
    query,
    recording,
    runs,
    seals,
    sqlalchemy_version,
    suppressions,
    trend,
    upkeep,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.benchmark_facade import BenchmarkStore
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database, Mode
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_facade import ExportStore
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_facade import JitStore
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    Accepted,
    CapabilityResult,
    Counts,
    Coverage,
    Elsewhere,
    Explanation,
    Finding,
    HistoryEntry,
    Query,
    RecordResult,
    Run,
    Seal,
    SealEntry,
    Selection,
    StatusChange,
    Suppression,
    TrendPoint,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.program_facade import ProgramStore
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.scope_facade import ScopeStore
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.simulation_facade import SimulationStore
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.window_facade import WindowStore

T = t.TypeVar("T")


class Store(BenchmarkStore, ExportStore, JitStore, ProgramStore, ScopeStore, SimulationStore, WindowStore):
    """An open store. Every method is one transaction, and raises StoreError when the database refuses.

    Open it where it is used and close it there: Ansible forks its workers, and a connection can't be shared by two
    processes. Times are seconds since the epoch.
    """

    @classmethod
    def open(cls, url: str | None = None, *, mode: Mode = "write") -> Store:
        """Return the store at an SQLAlchemy URL, by default at ``location.default_url()``.

        mode: with ``write`` the store is created where there is none. With ``check`` all happens as with ``write`` and
        is undone by ``close``. With ``read`` nothing can be written, and a store that doesn't exist is an error.
        """
        sqlalchemy_version.check()
        return cls(Database(location.parse(url or location.default_url()), mode))

    def close(self) -> None:
        """Let the database go."""
        self._database.close()

    def start_run(
        self,
        *,
        hosts: t.Sequence[str],
        capabilities: t.Sequence[str],
        playbook: str,
        user: str,
        controller: str,
        version: str,
        now: float,
        run_id: str | None = None,
    ) -> str:
        """Open a run and return its id.

        Every host and capability is noted as not checked until its result is recorded, so that an unreachable host
        or a killed controller can't look clean. run_id: of a run that may be open already (the slices of an AWX job
        share one); hosts are added to it.
        """
        described = {"playbook": playbook, "user": user, "controller": controller, "version": version}
        return self._database.write(lambda c: runs.start(c, hosts, capabilities, described, now, run_id))

    def record(
        self,
        run_id: str,
        host: str,
        capability: str,
        findings: t.Sequence[t.Mapping[str, t.Any]],
        coverage: t.Sequence[t.Mapping[str, t.Any]],
        now: float,
        checkpoint: t.Mapping[str, t.Any] | None = None,
        **more: t.Any,
    ) -> RecordResult:
        """Record what a capability found on a host and how far it looked.

        findings: from ``ocsf.finding``, all of this host and capability. coverage: ``ScopeCoverage.entry()`` of every
        scope. A state that is stored, wasn't found, and was looked at is resolved; whatever wasn't looked at stays as
        it is. A second result of the same run adds to the first; recording the same one again changes nothing.

        checkpoint: how far the host's logs were read for it. It becomes the one that the next run goes on from,
        together with the findings or not at all. Where another run, which read the same, was recorded meanwhile, the
        findings and the checkpoint are left out.

        more: further fields of ``CapabilityResult``. controls has all controls of each subject that was judged. A
        subject that was looked for and is gone has none any more; the finding of a control that was not checked stays
        as it is.
        """
        result = CapabilityResult(capability, findings, coverage, checkpoint, **more)
        return self._database.write(lambda c: recording.record(c, run_id, host, result, now))

    def record_host(
        self,
        run_id: str,
        host: str,
        results: t.Sequence[CapabilityResult],
        now: float,
        pins: t.Mapping[str, str] | None = None,
    ) -> list[RecordResult]:
        """Record several results of one host, each as ``record`` does, in their order; return what each did.

        Several results of one capability add up. A result that ``record`` would refuse costs only itself: its
        ``refused`` says why, its findings and its checkpoint are left out, and the coverage has each of its scopes as
        not checked.

        pins: the SHA-256 digests of the files that the controller left on the host, by name, in place of those
        before; None leaves these as they are. They are what the controller sent, never what a host says that it has.
        """
        return self._database.write(lambda c: recording.record_host(c, run_id, host, results, pins, now))

    def record_fleet(
        self, run_id: str, capability: str, findings: t.Sequence[t.Mapping[str, t.Any]], now: float
    ) -> RecordResult:
        """Record what a capability found about all hosts together, in place of what it found before.

        findings: of the host ``ocsf.host.FLEET`` and the scope ``recording.FLEET_SCOPE``. They have no coverage: no
        number of hosts has them, and no score.
        """
        return self._database.write(lambda c: recording.record_fleet(c, run_id, capability, findings, now))

    def record_received(
        self, run_id: str, capability: str, received: t.Sequence[Elsewhere], now: float
    ) -> dict[str, RecordResult]:
        """Record events that somebody else saw on hosts, such as alerts of an exported file; return what each host got.

        Nobody looked at the hosts, so their coverage stays as it is and nothing that is missing is resolved. The same
        events again change nothing but when they were last seen.
        """
        return self._database.write(lambda c: recording.record_received(c, run_id, capability, received, now))

    def pins(self, host: str) -> dict[str, str]:
        """Return the digests of the files that the controller left on a host, by name."""
        return self._database.read(lambda c: pins.get(c, host))

    def checkpoint(self, host: str, name: str) -> str | None:
        """Return the token of how far a reader of a host's logs got, None where nothing of it was recorded."""
        return self._database.read(lambda c: checkpoints.get(c, host, name))

    def forget_checkpoints(self, host: str, capabilities: t.Sequence[str]) -> None:
        """Forget how far capabilities have read a host's logs: the next run reads them anew."""
        self._database.write(lambda c: checkpoints.forget(c, host, capabilities))

    def finish_run(self, run_id: str, now: float, reasons: t.Mapping[str, str] | None = None) -> bool:
        """Close a run; return whether it was open.

        reasons: by host, in a sentence, why no result of it was recorded.
        """
        return self._database.write(lambda c: runs.finish(c, run_id, now, reasons or {}))

    def suppress(
        self,
        selection: Selection,
        *,
        reason: str,
        by: str,
        now: float,
        until: float | None = None,
        future: bool = False,
    ) -> tuple[list[StatusChange], bool]:
        """Hide findings until a time, or for good. Returns what changed, and whether a decision about the future did.

        future: also those that match the selection's patterns and are first seen, or come back, before the end. A
        finding whose severity rises above what was decided about is shown again.
        """
        return self._database.write(lambda c: decisions.suppress(c, selection, reason, by, until, future, now))

    def unsuppress(self, selection: Selection, *, reason: str, by: str, now: float) -> tuple[list[StatusChange], bool]:
        """Show suppressed findings again, and take back a decision about the future that has the same patterns."""
        return self._database.write(lambda c: decisions.unsuppress(c, selection, reason, by, now))

    def resolve(self, selection: Selection, *, reason: str, by: str, now: float) -> list[StatusChange]:
        """Resolve findings by hand, as events need it; what is still there is reopened when a run sees it."""
        return self._database.write(lambda c: decisions.resolve(c, selection, reason, by, now))

    def suppressions(self) -> t.Sequence[Suppression]:
        """Return the decisions about findings to come, also those that ended."""
        return self._database.read(suppressions.list_all)

    def uids_beginning(self, text: str) -> list[str]:
        """Return the uids of findings that begin with a text, the first few."""
        return self._database.read(lambda c: query.uids_beginning(c, text))

    def host_names(self) -> list[str]:
        """Return the names of all hosts with coverage or findings."""
        return self._database.read(query.host_names)

    def subjects(self, wanted: Query, limit: int) -> list[str]:
        """Return the distinct subjects of the findings that match a query."""
        return self._database.read(lambda c: query.subjects(c, wanted, limit))

    def has_subject(self, subject: str) -> bool:
        """Return whether a finding is about exactly this text, wildcards in it standing for themselves."""
        return self._database.read(lambda c: query.has_subject(c, subject))

    def query(
        self, wanted: Query | None = None, now: float | None = None, *, with_events: bool = True
    ) -> list[Finding]:
        """Return findings as they are now, or would be at a time: a suppression that ended hides nothing.

        with_events: without them, which are most of a finding, it has no title either.
        """
        return self._database.read(lambda c: query.findings(c, wanted or Query(), _now(now), with_events))

    def read_events(
        self, read: t.Callable[[t.Iterator[tuple[str, dict[str, t.Any]]]], T], wanted: Query, now: float | None = None
    ) -> T:
        """Return what a function makes of the uids and OCSF events of findings, which come one by one.

        The events are as a run observed them; their status and times are the store's to say. The function may be
        called again from the first finding on.
        """
        return self._database.read(lambda c: read(query.events(c, wanted, _now(now))))

    def counts(self, wanted: Query | None = None, now: float | None = None) -> Counts:
        """Return how many findings a query is for, its limit aside."""
        return self._database.read(lambda c: query.counts(c, wanted or Query(), _now(now)))

    def runs(self, limit: int | None = None, ids: t.Sequence[str] = ()) -> list[Run]:
        """Return runs, the newest first."""
        return self._database.read(lambda c: runs.newest(c, limit, ids))

    def coverage(
        self, run_id: str | None = None, *, hosts: t.Sequence[str] = (), capabilities: t.Sequence[str] = ()
    ) -> list[Coverage]:
        """Return the coverage of a run, or without one the newest of each host and capability.

        hosts: names or patterns as in ``Query``.
        """
        return self._database.read(
            lambda c: runs.coverage(
                c,
                run_id,
                (lambda column: patterns.any_of(column, hosts, c.dialect.name)) if hosts else None,
                capabilities,
            )
        )

    def read_looks(
        self,
        read: t.Callable[[t.Iterator[coverage_history.Look]], T],
        run_ids: t.Sequence[str],
        *,
        hosts: t.Sequence[str] = (),
        capabilities: t.Sequence[str] = (),
        with_skipped: t.Collection[str] = (),
    ) -> T:
        """Return the result of ``read`` for the coverage of runs and the newest one, oldest first.

        The newest is that of each host and capability, whichever run it is of. Forgotten hosts are left out.

        hosts: names or patterns as in ``Query``. with_skipped: capabilities to read with their skipped subjects.
        """
        return self._database.read(
            lambda c: read(coverage_history.looks(c, run_ids, hosts, capabilities, with_skipped))
        )

    def explanations(
        self,
        *,
        by: t.Sequence[str] = (),
        hosts: t.Sequence[str] = (),
        capabilities: t.Sequence[str] = (),
        run_id: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Explanation]:
        """Return what explained changes in all runs that were not pruned, the newest first.

        by, hosts: names or patterns as in ``Query``. since, until: of when the results arrived.
        """
        return self._database.read(
            lambda c: explained.search(
                c, explained.conditions(c.dialect.name, by, hosts, capabilities, run_id, since, until), limit, offset
            )
        )

    def history(self, wanted: Query | None = None, now: float | None = None) -> list[HistoryEntry]:
        """Return what happened from a query's since to its until to the findings it is for, the newest first."""
        return self._database.read(lambda c: query.history(c, wanted or Query(), _now(now)))

    def trend(
        self, *, since: float, until: float, points: int, hosts: t.Sequence[str] = (), now: float | None = None
    ) -> list[TrendPoint]:
        """Return how many findings were open, by severity, at evenly spread times from since to until."""
        return self._database.read(lambda c: trend.trend(c, since, until, points, hosts, _now(now)))

    def seal(self, host: str, name: str) -> Seal | None:
        """Return the seal of a baseline."""
        return self._database.read(lambda c: seals.get(c, host, name))

    def seal_names(self, host: str) -> list[str]:
        """Return the names of a host's baselines that have a seal."""
        return self._database.read(lambda c: seals.names(c, host))

    def expected_digests(self, host: str, name: str) -> list[str]:
        """Return the digests that the baseline on the host may have; none when it has no seal.

        ``NO_BASELINE`` among them says that it may be missing.
        """
        return self._database.read(lambda c: seals.expected_digests(c, host, name))

    def propose_seal(
        self, host: str, name: str, digest: str, *, by: str, reason: str, now: float, accepted: Accepted | None = None
    ) -> None:
        """Note the digest of a baseline that is about to replace the sealed one, or ``NO_BASELINE`` to remove it.

        accepted: the changes that come into the baseline so; findings about them that are gone then say it.
        """
        self._database.write(lambda c: seals.propose(c, host, name, digest, by, reason, accepted, now))

    def confirm_seal(self, host: str, name: str, digest: str, *, now: float) -> None:
        """Seal the digest that was proposed, or forget the seal with ``NO_BASELINE``; StoreError when it isn't that."""
        self._database.write(lambda c: seals.confirm(c, host, name, digest, now))

    def seal_history(self, host: str, name: str) -> list[SealEntry]:
        """Return what happened to a seal, the newest first."""
        return self._database.read(lambda c: seals.history(c, host, name))

    def seal_log(
        self,
        *,
        hosts: t.Sequence[str] = (),
        since: float | None = None,
        until: float | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[SealEntry]:
        """Return what happened to all seals, the newest first. hosts: names or patterns as in ``Query``."""
        return self._database.read(lambda c: seals.log(c, hosts, since, until, limit, offset))

    def prune(self, before: float) -> dict[str, int]:
        """Remove what was over before a time; return how many ``findings`` and ``runs`` that were."""
        return self._database.write(lambda c: upkeep.prune(c, before))

    def forget(
        self, hosts: t.Sequence[str] | None, *, capabilities: t.Sequence[str] = (), by: str, now: float
    ) -> dict[str, int]:
        """Remove all about hosts that are no more; return the numbers of ``findings``, ``coverage`` and ``seals``.

        capabilities: remove of these hosts, or with None of all, only what these capabilities have there; the seals
        stay then.
        """
        return self._database.write(lambda c: upkeep.forget(c, hosts, capabilities, by, now))

    def copy_to(self, url: str, *, dry: bool = False) -> copy.StoreCopy:
        """Copy everything to a database that has no store yet, or only an empty one; dry: only say what."""
        return copy.copy(self._database, url, dry=dry)


def _now(now: float | None) -> float:
    return time.time() if now is None else now
