# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Investigate a subject on the host: read its state and logs, follow links from the subject, and return the result.

Processes, sockets and audit records come first. What they connect with the subject is what the other sources are asked
for, twice: the second time for what they added themselves.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _crash, _own_session
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked, printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import OWN_PROCESSES, Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import (
    audit_history,
    connections,
    container_paths,
    files,
    passage,
    process_events,
    processes,
    rules,
    session_names,
    sources,
    subject,
    timeline,
    widen,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.followed import Followed
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.graph import (
    FactsGraph,
    Union,
    with_real_path,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import (
    Cut,
    Event,
    Facts,
    Investigation,
    Node,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.options import Options, parse
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_graph import ProcessGraph
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import Table
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted, Window

PROCESSES, AUDIT, CONNECTIONS = "processes", "audit_records", "connections"
# Rounds in which the sources are asked.
_ROUNDS = 2
# Parts of the time budget. The sources share what is left, half of it in each round.
_SHARES = {PROCESSES: 0.2, AUDIT: 0.3, CONNECTIONS: 0.1}
# Some 300,000 records, which the audit daemon keeps by default; more would not fit into the memory.
_MOST_AUDIT_BYTES = 64 << 20
_MOST_PROC_BYTES = 64 << 20
# Seconds around what happened in which something else counts as near.
_AROUND = 300.0
_LEAST_SECONDS = 0.1
# Programs whose children are sign-ins or services: no part of the investigation's own processes.
_OUTSIDE = frozenset(("sshd", "systemd", "init", "cron", "crond", "containerd-shim-runc-v2"))


def collect(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    """Return the result of investigation_info. What can't be read is in the coverage with the reason."""
    options = parse(params)
    if options.idle:
        yield_to_others()
    own = {int(pid) for pid in params.get(OWN_PROCESSES) or ()} | own_processes()
    if options.subject == "pid":
        # The investigation of one of its own processes is allowed.
        own.discard(int(options.value))
    investigation, coverage = investigate(options, Host(), own)
    return {
        "changed": False,
        "detections": [],
        "investigation": as_data(investigation),
        "coverage": coverage,
    }


def own_processes() -> set[int]:
    """Return the pids of the investigation and its ancestors, up to the server that it came through."""
    pids = set()
    for process in _own_session.ancestors():
        if process.program in _OUTSIDE or process.pid == 1:
            break
        pids.add(process.pid)
    return pids


class _Run:
    """Options, host, coverage and deadline that all steps of one investigation share."""

    def __init__(self, options: Options, host: Host) -> None:
        self.options = options
        self.host = host
        self.coverage: list[dict[str, t.Any]] = []
        self.cuts: list[Cut] = []
        self._deadline = Deadline(options.seconds)

    @property
    def left(self) -> float:
        return self._deadline.remaining(0.0) or 0.0

    def budget(self, share: float, most_bytes: int) -> Budget:
        return Budget(max(_LEAST_SECONDS, min(self.left, self.options.seconds * share)), most_bytes)

    def note(self, scope: str, budgets: t.Sequence[Budget]) -> None:
        """Add the coverage of a scope."""
        covered = ScopeCoverage(scope)
        for budget in budgets:
            covered.examined += budget.examined
            for name, reason in budget.skipped:
                covered.skip(name, reason)
            covered.skipped_count += budget.skipped_count - len(budget.skipped)
            for cut in budget.cuts:
                covered.skip(scope, cut.text)
            self.cuts.extend(budget.cuts)
        self.coverage.append(covered.entry())


def investigate(options: Options, host: Host, own: t.AbstractSet[int]) -> tuple[Investigation, list[dict[str, t.Any]]]:
    """Return the investigation and its coverage. own: pids of this investigation. Raises UsageError."""
    run = _Run(options, host)
    table, history, containers = _processes(run, own)
    graph = ProcessGraph(table, history.sign_ins, lambda path: _owner(host, path), own, host.real, containers)
    begin = subject.resolve(options, table.by_pid(), host.boot, os.sysconf("SC_CLK_TCK"))
    shared = {"address:" + address for address in connections.resolvers(host)}
    routes = connections.routes(host)
    shared |= {"address:" + route.gateway for route in routes if route.gateway}
    named = with_real_path(host.real)
    known = FactsGraph([begin.facts], named)
    begin = begin._replace(seeds=list(dict.fromkeys(map(named, begin.seeds))))
    widened, events = _rounds(run, Union([graph, known]), known, begin, shared, history.sign_ins)
    _note_subject(run, begin)
    budget = run.budget(_SHARES[CONNECTIONS], 0)
    passage.add(widened.nodes, graph.contacts, routes, budget)
    _note_source(run, CONNECTIONS, [budget])
    steps = {reason.node: reason.step for reason in widened.reasons}
    events += process_events.of(graph, widened.nodes, history.sign_ins)
    lines = timeline.merge(events, steps, host.now, options.events)
    nodes = sorted(widened.nodes.values(), key=lambda node: steps[node.id])
    reasons = sorted(widened.reasons, key=lambda reason: reason.step)
    cuts = [*run.cuts, *widened.cuts, *lines.cuts]
    return Investigation(begin.text, nodes, widened.links, reasons, lines.events, cuts), run.coverage


def _processes(
    run: _Run, own: t.AbstractSet[int]
) -> tuple[Table, audit_history.History, container_paths.ContainerPaths]:
    """Read processes, sockets and audit records."""
    options, host = run.options, run.host
    budget = run.budget(_SHARES[PROCESSES], _MOST_PROC_BYTES)
    live = processes.read(host, budget, subject.pids(options))
    run.note(PROCESSES, [budget])
    table = Table(live, host.boot)
    since = (options.first if options.first is not None else host.now) - options.since
    host.own_files = {process.script for pid in own for process in [table.running(pid)] if process is not None}
    budget = run.budget(_SHARES[AUDIT], _MOST_AUDIT_BYTES)
    # The pids of the subject, before the processes are known.
    named = subject.resolve(options, {}, host.boot, os.sysconf("SC_CLK_TCK")).seeds
    until = options.last + _AROUND if options.last is not None else None
    history = audit_history.read(options.audit_logs, since, table, budget, Followed([*named], until))
    run.note(AUDIT, [budget])
    if not history.events:
        reason = "There are no audit records, so processes that ended, and files that they wrote, are unknown."
        run.coverage[-1] = not_checked(AUDIT, reason)
    budget = run.budget(_SHARES[CONNECTIONS], _MOST_PROC_BYTES)
    connections.read(host, live, table, budget)
    run.note(CONNECTIONS, [budget])
    return table, history, container_paths.read(host, live)


def _owner(host: Host, path: bytes) -> str:
    owned = host.packages.owned(path)
    return printable(owned.label) if owned is not None else ""


def _rounds(
    run: _Run,
    graph: Union,
    known: FactsGraph,
    begin: subject.Subject,
    shared: t.AbstractSet[str],
    sign_ins: t.Sequence[audit_history.SignIn],
) -> tuple[widen.Widened, list[Event]]:
    """Follow links, ask the sources about the connected nodes, and follow links again."""
    events: list[Event] = []
    budgets: dict[str, list[Budget]] = {entry.scope: [] for entry in sources.ALL}
    failures: dict[str, str] = {}
    seen: set[str] = set()
    # Processes and records may not know when a file changed that is asked for.
    known.add(Facts([files.dated(run.host, seed) for seed in begin.seeds if seed.startswith("file:")]))
    widened = _widened(run, graph, begin, shared)
    for number in range(_ROUNDS):
        windows = _windows(widened, begin)
        wanted = Wanted(widened.nodes, widened.nodes.keys() - seen, windows, number)
        seen |= widened.nodes.keys()
        seconds = run.left / (_ROUNDS - number)
        for entry in sources.ALL:
            if entry.scope in failures:
                continue
            budget = Budget(max(_LEAST_SECONDS, seconds * entry.share), entry.bytes)
            budgets[entry.scope].append(budget)
            try:
                facts = entry.gather(run.host, wanted, budget)
            except Exception as error:  # noqa: BLE001 - the scope is not checked then, with the reason
                failures[entry.scope] = "Reading it failed: %s. Report this." % _crash.summarize(error)
                continue
            facts = session_names.with_numbers(facts, sign_ins)
            known.add(facts)
            events.extend(facts.events)
        widened = _widened(run, graph, begin, shared)
    for scope, used in budgets.items():
        if scope in failures:
            run.coverage.append(not_checked(scope, failures[scope]))
        else:
            _note_source(run, scope, used)
    return widened, events


def _widened(run: _Run, graph: Union, begin: subject.Subject, shared: t.AbstractSet[str]) -> widen.Widened:
    limits = widen.Limits(run.options.depth, run.options.nodes, max(1.0, run.left))
    return widen.widen(graph, begin.seeds, limits, shared)


def _note_source(run: _Run, scope: str, budgets: t.Sequence[Budget]) -> None:
    """Add the coverage of a source; two sources may share a scope."""
    before = next((entry for entry in run.coverage if entry["scope"] == scope), None)
    run.note(scope, budgets)
    if before is not None:
        further = run.coverage.pop()
        before["skipped"] = [*before["skipped"], *further["skipped"]][: len(before["skipped"]) + 50]
        before["skipped_count"] += further["skipped_count"]
        before["status"] = "partial" if before["skipped_count"] else before["status"]


def _note_subject(run: _Run, begin: subject.Subject) -> None:
    covered = ScopeCoverage("subject")
    covered.examined = len(begin.seeds)
    for name, reason in begin.problems:
        covered.skip(name, reason)
    if not begin.seeds:
        covered.fail("%s." % "; ".join(reason for _name, reason in begin.problems))
    # Without a beginning, the other scopes say little.
    run.coverage.insert(0, covered.entry())


def _windows(widened: widen.Widened, begin: subject.Subject) -> list[Window]:
    """Return the times of events of the followed nodes, with some minutes around them."""
    times = []
    for node in widened.nodes.values():
        if widened.roles[node.id] != rules.CORE and node.id not in begin.seeds:
            continue
        if node.kind in ("process", "file", "session", "finding"):
            times += [time for time in _times(node) if time is not None]
    windows: list[Window] = []
    for time in sorted(set(times)):
        if windows and time - _AROUND <= windows[-1][1]:
            windows[-1] = windows[-1][0], time + _AROUND
        else:
            windows.append((time - _AROUND, time + _AROUND))
    return windows


def _times(node: Node) -> tuple[float | None, ...]:
    # The end of a session says nothing about what was done in it.
    return (node.first,) if node.kind in ("process", "session") else (node.first, node.last)


def as_data(investigation: Investigation) -> dict[str, t.Any]:
    """Return an investigation as plain values that travel as JSON.

    ``subject`` is its text. ``nodes`` have ``id``, ``label``, ``first``, ``last``, ``gone`` and ``facts``; ``links``
    ``source``, ``target``, ``relation``, ``by`` and ``time``; ``reasons`` ``node``, ``step``, ``via``, ``relation`` and
    ``text``; ``events`` ``time``, ``by``, ``text`` and ``nodes``; ``cuts`` ``limit``, ``text`` and ``count``.
    """
    return {
        "subject": investigation.subject,
        "nodes": [{**node._asdict(), "facts": dict(node.facts)} for node in investigation.nodes],
        "links": [link._asdict() for link in investigation.links],
        "reasons": [reason._asdict() for reason in investigation.reasons],
        "events": [{**event._asdict(), "nodes": list(event.nodes)} for event in investigation.events],
        "cuts": [{"limit": cut.limit, "text": cut.text, "count": cut.left_out} for cut in investigation.cuts],
    }
