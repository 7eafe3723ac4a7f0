# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scan the processes of a host: collect them, run the checks, and return detections and coverage."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import pwd
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _crash
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked, printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import OWN_PROCESSES, Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import detect, drift, watched
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import progress as steps
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import (
    changed,
    code,
    disguise,
    hidden,
    injected,
    known,
    origin,
    privilege,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.choosing import Choice, has_memory
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.content import Content
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.drift import Drift
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.host import LinuxHost
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.inspection import DeepCheck, Inspection
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.lineage import Lineages
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.newcomers import Newcomers
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.options import (
    DRIFT,
    HOST,
    PROCESSES,
    Options,
    parse,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes, uncovered
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.budget import (
    Budget,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.processes import Collected
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.progress import SCAN, Lost, Progress
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import HostCheck
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.watched import LostError, Patience

# The first are cheap: they need little more than what was read of a process first.
_CHEAP = (origin.check, disguise.check, privilege.check)
_CHECKS = (
    injected.check,
    code.check,
    changed.check,
    known.check,
)
_DEEP: tuple[DeepCheck, ...] = (known.check_deep,)
# What the coverage says of what was asked for like that. Playbooks that choose processes leave it out by its beginning.
_CHOSEN = "only processes that memory_scan_pids, memory_scan_users or memory_scan_names select were scanned"
_WHOLE_HOST = (
    "Only a scan of all processes looks for it, without memory_scan_pids, memory_scan_users, memory_scan_names."
)
_RANDOMISED = "/proc/sys/kernel/randomize_va_space"
_EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"


def collect(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of memory_scan_info. What can't be looked at is in the coverage with the reason."""
    options = parse(params)
    if options.idle:
        yield_to_others()
    began = time.monotonic()
    deadline = Deadline(options.time_budget)
    # Who watches it, and in a scan of several capabilities who runs that.
    own = frozenset((os.getpid(), *params.get(OWN_PROCESSES, ())))
    scan = functools.partial(_scan, params["_content"] or "", options, deadline, check_mode, own)
    try:
        result = watched.run(scan, deadline, Patience.within(options.time_budget, options.lock_timeout))
    except LostError as error:
        result = _nothing_seen(options, "%s." % error)
    result["memory_scan"]["seconds"] = round(time.monotonic() - began, 3)
    return result


def _nothing_seen(options: Options, reason: str) -> dict[str, t.Any]:
    return {
        "changed": False,
        "detections": [],
        "coverage": [not_checked(PROCESSES, reason), *_not_of_the_host(options, reason)],
        "memory_scan": {"processes": 0, "ended": 0, "bytes_read": 0, "allowed": 0},
    }


def _not_of_the_host(options: Options, reason: str) -> list[dict[str, t.Any]]:
    """Return the coverage of what only the whole host tells where it isn't looked at. reason: where it was to be."""
    text = reason if options.whole_host else _WHOLE_HOST
    return [not_checked(scope, text) for scope in options.scopes if scope != PROCESSES]


def _scan(
    packed: str,
    options: Options,
    deadline: Deadline,
    check_mode: bool,
    own: frozenset[int],
    progress: Progress,
    lost: t.Mapping[int, Lost],
) -> dict[str, t.Any]:
    """Return the result, in a process of its own that may be ended at any time. own: the pids of who runs it."""
    content = Content(packed)
    choice = _choice(options, own)
    collector = processes.Collector(uncovered.root())
    list_processes = functools.partial(processes.collect, deadline, progress=progress, lost=lost, collector=collector)
    collected = list_processes(chosen=choice.pids if choice.is_pids_only else None)
    host = LinuxHost(collected.processes, content, deadline, options)
    coverage = ScopeCoverage(PROCESSES)
    for subject, reason in collected.skipped:
        coverage.skip(subject, reason)
    _note_unknown(choice, options, collected, coverage, lost)
    inspection = _inspected(host, choice, coverage, deadline, collected, list_processes, progress)
    progress(SCAN)
    coverage.note = " ".join(filter(None, (coverage.note, inspection.note_ended(), known.left_out(host)))) or None
    detections = detect.of_processes(inspection.seen(), content, PROCESSES)
    entries = [coverage]
    if options.whole_host:
        entries.append(ScopeCoverage(HOST))
        detections.extend(detect.of_host(_of_host(host, entries[-1], progress, lost), content, HOST))
        if options.drift:
            entries.append(ScopeCoverage(DRIFT))
            progress(steps.DRIFT)
            if steps.DRIFT in lost:
                entries[-1].fail("%s." % lost[steps.DRIFT].reason)
            else:
                with _noted(entries[-1].fail):
                    detections.extend(_drift(inspection, host, options, entries[-1], check_mode))
    returned = detect.fitting(detections, options.max_findings)
    if len(returned) < len(detections):
        coverage.skip("result", "%d findings are left out of it" % (len(detections) - len(returned)))
    _note_choice(choice, options, collected, coverage)
    coverages = [entry.entry() for entry in entries]
    if not options.whole_host:
        coverages += _not_of_the_host(options, _WHOLE_HOST)
    return {
        "changed": False,
        "detections": returned,
        "coverage": coverages,
        "memory_scan": {
            "processes": coverage.examined,
            "ended": inspection.ended,
            "bytes_read": inspection.budget.used,
            "allowed": sum(map(len, inspection.covered.values())),
        },
    }


def _choice(options: Options, own: frozenset[int]) -> Choice:
    """Return which processes are looked at."""
    users = frozenset(user for user in map(_user, options.users) if user is not None)
    # Itself has all signatures in its memory, and who runs it what they are packed in.
    excluded = options.exclude | own | {os.getpid()}
    return Choice(frozenset(options.pids), options.names, users, excluded, options.whole_host)


def _user(name: str) -> int | None:
    """Return the number of an account; None where this host has none of that name."""
    try:
        return int(name) if name.isascii() and name.isdigit() else pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def _note_unknown(
    choice: Choice, options: Options, collected: Collected, coverage: ScopeCoverage, lost: t.Mapping[int, Lost]
) -> None:
    """Note what is asked for by a name or number that nothing has."""
    for name in options.users:
        if _user(name) is None:
            coverage.skip("users", "this host has no account '%s'" % printable(os.fsencode(name)))
    for pid in sorted(choice.pids - set(collected.processes) - {pid for pid, one in lost.items() if one.entirely}):
        coverage.skip("process %d" % pid, "there is no such process")


def _note_choice(choice: Choice, options: Options, collected: Collected, coverage: ScopeCoverage) -> None:
    """Note what was not asked for, after all that could not be looked at although it was."""
    if not options.whole_host:
        own = choice.excluded - options.exclude
        everything = [one for one in collected.processes.values() if has_memory(one) and one.pid not in own]
        some = ", %d of %d" % (sum(map(choice.takes, everything)), len(everything))
        # By pids alone, no other processes are known.
        coverage.skip("processes", _CHOSEN + ("" if choice.is_pids_only else some))
    for pid in sorted(options.exclude & set(collected.processes)):
        if choice.wants(collected.processes[pid]):
            coverage.skip("process %d" % pid, "it is excluded")


def _inspected(
    host: LinuxHost,
    choice: Choice,
    coverage: ScopeCoverage,
    deadline: Deadline,
    collected: Collected,
    list_processes: t.Callable[..., Collected],
    progress: Progress,
) -> Inspection:
    options = host.options
    budget = Budget(options.read_budget)
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    ended = [entry for entry in options.allowlist if entry.is_over(today)]
    if ended:
        names = ", ".join("%s ended on %s" % (entry.shown, entry.until) for entry in ended)
        coverage.note = "Expired entries of the allowlist are not used: %s." % names
    allowed = [entry for entry in options.allowlist if not entry.is_over(today)]
    lineages = Lineages(_is_randomised())
    inspection = Inspection(
        host, _CHEAP, _CHECKS, _DEEP, allowed, budget, coverage, collected, list_processes, lineages, progress
    )
    newcomers = Newcomers(collected, list_processes, choice, inspection, lineages)
    # The newest are the first to end.
    waiting = sorted(filter(choice.takes, collected.processes.values()), key=lambda one: one.started, reverse=True)
    for number, process in enumerate(waiting):
        if deadline.passed():
            coverage.skip("processes", "%d were not scanned: %s" % (len(waiting) - number, deadline.reason))
            break
        budget.begin(len(waiting) - number - 1)
        with _noted(functools.partial(coverage.skip, "process %d" % process.pid)):
            inspection.take(process)
        with _noted(functools.partial(coverage.skip, "processes that began meanwhile")):
            newcomers.look()
    with _noted(functools.partial(coverage.skip, "processes that began meanwhile")):
        newcomers.finish(deadline)
    for entry, subjects in inspection.covered.items():
        coverage.explain("allowlist: %s (%s)" % (entry.shown, entry.reason), len(subjects), subjects)
    return inspection


def _of_host(
    host: LinuxHost, coverage: ScopeCoverage, progress: Progress, lost: t.Mapping[int, Lost]
) -> list[tuple[str, Sign]]:
    found: list[tuple[str, Sign]] = []
    if steps.HOST in lost:
        coverage.fail("%s." % lost[steps.HOST].reason)
        return found

    def read(pid: int) -> Process | None:
        progress(pid)
        process = None if pid in lost else hidden.read_unlisted(pid)
        progress(steps.HOST)
        return process

    checks: dict[str, HostCheck] = {
        "hidden processes": functools.partial(hidden.check_host, read=read),
        "injected libraries": injected.check_host,
        "rights of processes": privilege.check_host,
    }
    progress(steps.HOST)
    for name, check in checks.items():
        skip = functools.partial(coverage.skip, name)
        with _noted(skip):
            found.extend(check(host, skip))
        coverage.examined += 1
    coverage.note = " ".join(host.notes) or None
    return found


@contextlib.contextmanager
def _noted(note: t.Callable[[str], None]) -> t.Iterator[None]:
    """Note a mistake in a part of the scan, or what somebody made to provoke one: it hides nothing that others see."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a mistake of one part is in the coverage, and the rest counts
        note("checking it failed: %s; report this" % _crash.summarize(error))


def _drift(
    inspection: Inspection, host: LinuxHost, options: Options, coverage: ScopeCoverage, check_mode: bool
) -> list[dict[str, t.Any]]:
    """Return what is new since the last scan, and remember what is there now."""
    listed = [inspection.described(one) for one in host.processes.values() if not one.is_kernel_thread]
    now = drift.current(listed, _first_ephemeral())
    coverage.examined = len(now.listeners) + len(now.privileged)
    try:
        where = drift.open_state(options.state_dir, create=not check_mode)
        if where is None:
            coverage.note = "There was no scan before, so nothing counts as new."
            return []
        try:
            return _compared(where, now, host, options, coverage, check_mode)
        finally:
            where.close()
    except StateError as error:
        coverage.fail("%s." % str(error).rstrip("."))
        return []


def _compared(
    where: StateDirectory, now: Drift, host: LinuxHost, options: Options, coverage: ScopeCoverage, check_mode: bool
) -> list[dict[str, t.Any]]:
    with drift.locked(where, options.lock_timeout):
        last = drift.read(where)
        detections, seen = drift.compare(last, now, time.time(), DRIFT, host.is_packaged)
        if not check_mode:
            drift.write(where, seen)
    if not last:
        coverage.note = "There was no scan before, so nothing counts as new."
    return detections


def _is_randomised() -> bool:
    """Say whether each program that begins gets addresses of its own (proc(5), randomize_va_space)."""
    try:
        with open(_RANDOMISED, encoding="ascii") as stream:
            return stream.read(20).strip() != "0"
    except OSError:
        return False


def _first_ephemeral() -> int:
    try:
        with open(_EPHEMERAL, encoding="ascii") as stream:
            return int(stream.read(64).split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768
