# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe which programs run on this host: the executions in the audit log, the processes, and the files.

How a look uses it::

    observed = observe(params, check_mode, explainers)
    for record in observed.records.values():
        if record.newest or record.is_running: ...   # it ran since the last recorded look
    record.reported = "app_unapproved_program"       # remembered, and never forgotten
    result["checkpoint"] = observed.save()           # None where nothing is to be kept
"""

from __future__ import annotations

import gc
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import check_options
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._finding import (
    ScopeCoverage,
    printable,
    unprintable,
)
from ansible_collections.bulwark.servers.plugins.module_utils._program import PRESENT
from ansible_collections.bulwark.servers.plugins.module_utils._run import OWN_PROCESSES, Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import log
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.denials import (
    OwnLook,
    allowing_rules,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.interruptions import Interruption
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.explanations import (
    Explainer,
    account,
    execution,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.files import FileFacts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import Identity
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.host import distribution
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import (
    UNKNOWN_IMAGE,
    Execution,
    Record,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.reading import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.remembered import (
    Memory,
    known_origins,
    newest,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.running import (
    RunningPrograms,
    own_processes,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import (
    Occurrence,
    Tallies,
    Tally,
    Target,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import Running, running
from ansible_collections.bulwark.servers.plugins.module_utils.automation.make import explainers_of

# The directory of its own, so that it is removed without the checkpoints of others.
CAPABILITY = "app_control"
NAME = CAPABILITY
PROGRAMS, CONTAINERS = "programs", "containers"
_VERSION = 1
_DAY = 86_400
# What is made of events has no cycles: to look for them in all that is remembered takes a tenth of the time.
_COLLECT_AFTER = 200_000
# Of the time budget, what reading the log may take.
_READING = 0.6
# Subjects of notes that are about more than one package.
_DATABASES = frozenset(("dpkg database", "rpm database", "package databases", "package digests"))
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, IndexError)
_NOT_SEEN = (
    "Not seen: code in arguments and pipes, and what programs read themselves (source, import). Changes of a process in"
    " memory are for the memory scan."
)

__all__ = ["CONTAINERS", "NAME", "PROGRAMS", "Explainer", "Observed", "observe"]


class Observed:
    """The result of an observation.

    records: all that is remembered, by ``Program.identity``; those of this look have ``newest``, or are running.
    scopes: what was looked at, ``PROGRAMS`` first. problem: a sentence where the checkpoint is not what the controller
    confirmed, else None. host: ``program_host`` of the result, without ``roles``. interruptions: of fapolicyd. daemon:
    set it to what the next look has to know of fapolicyd's processes; it is what the look before noted.
    """

    def __init__(
        self,
        records: dict[Identity, Record],
        scopes: t.Sequence[ScopeCoverage],
        problem: str | None,
        host: dict[str, t.Any],
        interruptions: t.Sequence[Interruption],
        daemon: t.Sequence[t.Any],
        save: t.Callable[[t.Sequence[t.Any]], dict[str, t.Any] | None],
    ) -> None:
        self.records = records
        self.scopes = scopes
        self.problem = problem
        self.host = host
        self.interruptions = interruptions
        self.daemon = daemon
        self._save = save

    def save(self) -> dict[str, t.Any] | None:
        """Keep the records; return the checkpoint of the result, None where nothing is to be kept.

        The coverage says that a state directory can't be written, so make the entries of ``scopes`` afterwards.
        """
        return self._save(self.daemon)


def observe(params: t.Mapping[str, t.Any], check_mode: bool, explainers: t.Sequence[Explainer] = ()) -> Observed:
    """Return what was observed since the last recorded look, and all that is remembered.

    params: those of ``options.look_spec``; of ``options.collect_spec`` for an observation that begins anew and saves
    nothing. Raises UsageError, HostError and StateError.
    """
    check_options(params, ("paths",), {"time_budget": 0, "max_programs": 1, "keep_days": 1})
    if params["priority"] == "idle":
        yield_to_others()
    gc.set_threshold(_COLLECT_AFTER)
    advance = bool(params.get("_advance")) and not check_mode
    checkpoint = Checkpoint.load(params.get("state_dir"), NAME, params.get("_token"), advance, directory=CAPABILITY)
    scopes = [ScopeCoverage(PROGRAMS), ScopeCoverage(CONTAINERS)]
    state = checkpoint.state if checkpoint.state.get("version") == _VERSION else {}
    if checkpoint.problem:
        scopes[0].skip("checkpoint", checkpoint.problem + "; the remaining logs were read again")
    try:
        observation = _Observation(params, state, scopes, explainers)
    except _DAMAGED as error:
        if not state:
            raise
        # It was written by this look; whatever it is now, reading anew is what can be done.
        scopes[0].skip("checkpoint", "the saved state can't be used (%s); the logs were read again" % error)
        observation = _Observation(params, {}, scopes, explainers)
    observation.observe()

    def save(daemon: t.Sequence[t.Any]) -> dict[str, t.Any] | None:
        own = OwnLook(os.getpid(), observation.started, time.time())
        try:
            return checkpoint.save({**observation.state(), "own": own, "daemon": daemon})
        except StateError as error:
            scopes[0].skip("checkpoint", "%s; the next scan reads the same again" % error)
            return None

    return Observed(
        observation.memory.records,
        scopes,
        checkpoint.problem,
        observation.host(),
        observation.interruptions(),
        state.get("daemon", ()),
        save,
    )


class _Observation:
    """One look, with everything that it goes on from."""

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        state: t.Mapping[str, t.Any],
        scopes: t.Sequence[ScopeCoverage],
        explainers: t.Sequence[Explainer],
    ) -> None:
        self._params = params
        self._programs, self._containers = scopes
        self.memory = Memory.load(state.get("records", ()))
        self._origins = known_origins(self.memory.records.values())
        paths = params["paths"] if params["paths"] is not None else list(log.DEFAULT_PATHS)
        self._log = log.ExecutionLog(paths, state.get("log", {}))
        self.started = time.time()
        self._log.prove()
        self._roots = Roots(state.get("roots", {}))
        self._tallies = Tallies(params["max_programs"])
        self._processes: t.Sequence[Running] = running()
        self._running = RunningPrograms(self._roots, self._tallies, state.get("running", {}))
        self._reader = Reader(
            state.get("reader", {}),
            self._roots,
            self._tallies,
            explainers_of(params),
            explainers,
            self._processes if self._log.is_own else (),
            allowing=allowing_rules(),
            former_look=OwnLook(*state["own"]) if state.get("own") else None,
        )

    def observe(self) -> None:
        budget = self._params["time_budget"]
        reading, deadline = Deadline(budget * _READING), Deadline(budget)
        self._log.read(self._reader, self._programs, reading)
        files = FileFacts(self._roots, deadline, origins=self._origins)
        without = own_processes(self._params, OWN_PROCESSES)
        self._running.look(self._processes, self.started, self._is_counted, without, files.is_usual, deadline)
        self._tallies.fold(self.memory.records)
        for identity, tally in self._tallies:
            self._remember(identity, tally, files)
        self._identify_left_out(files)
        self._bound()
        self._describe(files)

    def _is_counted(self, process: Process) -> bool:
        """Return whether the execution of a process that runs was read in the log, now or in an earlier look."""
        known = self._reader.lineage.get(process.pid) if self._log.is_own else None
        return known is not None and known.exe == process.exe and known.arguments.startswith(b"argc=")

    def interruptions(self) -> list[Interruption]:
        """Return when fapolicyd did not run, as far as this host's own log says so."""
        return self._reader.interruptions.all() if self._log.is_own else []

    def host(self) -> dict[str, t.Any]:
        return {
            "distribution": distribution(),
            "since": self._log.since,
            "until": self._log.until,
            "days": len(self._log.days),
        }

    def state(self) -> dict[str, t.Any]:
        return {
            "version": _VERSION,
            "records": self.memory.rows(),
            "reader": self._reader.state(),
            "log": self._log.state(),
            "running": self._running.state(),
            "roots": self._roots.state(),
        }

    def _remember(self, identity: Identity, tally: Tally, files: FileFacts) -> None:
        """Take what was seen of a file into its record."""
        known = self.memory.records.get(identity)
        former = known.program if known is not None else None
        identified = files.identify(tally.target, tally.last, former, self.memory.keys.get(identity))
        program = identified.program
        if known is None:
            known = self.memory.records[identity] = Record(program, tally.first, tally.last, [], is_altered=True)
        else:
            known.is_altered = program != former
        if identified.key is not None:
            self.memory.keys[identity] = identified.key
        known.program = program
        known.first = min(known.first, tally.first)
        known.last = max(known.last, tally.last)
        added = tally.days.difference(known.days)
        known.new_days = sorted({*known.new_days, *added})
        known.days = sorted({*known.days, *added})
        known.executions += tally.count
        known.explained += tally.explained
        known.new_executions += tally.count
        known.new_explained += tally.explained
        known.users = newest(known.users, [account(number) for number in tally.accounts])
        parents = [printable(decode.unquoted(parent)) for parent in tally.parents]
        known.parents = newest(known.parents, [parent for parent in parents if parent])
        known.explanations = tally.explanations
        known.is_running = tally.is_running
        known.denials = tally.denials
        if tally.newest_denied is not None:
            known.newest_denied = self._execution(tally, tally.newest_denied)
        if tally.newest is not None:
            known.newest = self._execution(tally, tally.newest)
        if tally.newest_unexplained is not None:
            is_newest = tally.newest_unexplained is tally.newest
            known.newest_unexplained = known.newest if is_newest else self._execution(tally, tally.newest_unexplained)

    def _identify_left_out(self, files: FileFacts) -> None:
        """Read files for which an earlier look had no time."""
        for identity, record in self.memory.records.items():
            program = record.program
            if program.sha256 or program.content != PRESENT or program.image or identity in self._tallies:
                continue
            target = Target(program.kind, unprintable(program.path), interpreter=unprintable(program.interpreter))
            identified = files.identify(target, record.last, None, None)
            if identified.key is not None:
                self.memory.keys[identity] = identified.key
                record.program, record.is_altered = identified.program, True

    def _execution(self, tally: Tally, occurrence: Occurrence) -> Execution:
        return execution(tally.target, occurrence, self._reader.lineage.get(occurrence.pid))

    def _bound(self) -> None:
        """Keep what is remembered within its limits, and say what is not."""
        limit = self._params["max_programs"]
        self.memory.fold(limit)
        today = int(self.started) // _DAY
        evicted = self.memory.evict(limit, today - self._params["keep_days"])
        if evicted or self._tallies.left_out:
            self._programs.skip(
                "programs",
                "%d programs were forgotten and %d executions were only counted for their directory, as there are more"
                " than max_programs (%d)" % (evicted, self._tallies.left_out, limit),
            )

    def _describe(self, files: FileFacts) -> None:
        """Say what was looked at, and what was not."""
        scope = self._programs
        scope.examined = len(self._tallies)
        notes = self._log.describe(self._reader, scope)
        if os.geteuid():
            scope.skip(
                "processes", "those of other accounts show nothing; run as root (become: true, or sudo make scan)"
            )
        if self._running.left_out:
            scope.skip(
                "processes",
                "the time budget of %g s was used up with %d of them left"
                % (self._params["time_budget"], self._running.left_out),
            )
        if files.left_out:
            scope.skip(
                "files",
                "the time budget of %g s was used up with %d of them left; the next scan reads them"
                % (self._params["time_budget"], files.left_out),
            )
        for reason, path in files.unreadable.items():
            scope.skip(printable(path), reason)
        for subject, reason in files.packages.notes():
            # That a package records no digests is said of each program.
            if subject in _DATABASES:
                scope.skip(subject, reason)
        for problem in self._reader.explanations.problems:
            scope.skip("explanations", problem)
        scope.note = " ".join([*notes, _NOT_SEEN])
        self._describe_containers()

    def _describe_containers(self) -> None:
        scope = self._containers
        scope.examined = len(self._roots.containers)
        if os.geteuid():
            scope.skip("containers", "only root sees them; run as root (become: true, or sudo make scan)")
        unknown = [tally for identity, tally in self._tallies if identity[0] == UNKNOWN_IMAGE]
        if unknown:
            scope.skip(
                "containers that ended",
                "%d programs ran in containers that had ended before the scan, so neither image nor content is known"
                % len(unknown),
            )
