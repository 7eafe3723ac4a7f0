# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run is put into words: the live block, a plain line, the account of a failure and the summary.

Pure functions; everything that came from a host goes through ``visible``.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.tracker import Tally, Tracker
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.columns import shortened, taken, width
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import (
    capability_name,
    counted,
    listed,
    visible,
)

# A host that takes longer than this is named: on a large fleet the last few decide how long a scan takes.
SLOW_AFTER = 10.0

_NAMED_SLOW = 2
_SHORTEST_NAME = 8

_BAR = 24
_REASON_LIMIT = 1000
_DETAIL_LINES = 5
_MESSAGE_LINES = 10
_HOSTS_NAMED = 10
_REASONS_NAMED = 20

# What modules say about a failure beside ``msg``.
_DETAILS = ("assertion", "evaluated_to", "cmd", "rc", "stderr", "stdout", "module_stderr", "module_stdout")


def duration(seconds: float) -> str:
    """Return ``1:05`` for minutes and seconds, ``2:01:05`` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def block(run: Tracker, columns: int, rows: int) -> list[str]:
    """Return the lines of the live block for a terminal of this size: the fleet, each capability, the task."""
    lines = [_fleet(run), *(_capability(run, name) for name in _capabilities(run)), _task(run, columns - 1)]
    return [taken(line, columns - 1) for line in lines[: max(1, rows - 2)]]


def plain(run: Tracker) -> str:
    """Return the state of a run as one line for a log."""
    found = _severities(run.severities)
    return "; ".join(filter(None, [_fleet(run), f"found {found}" if found else "", _task(run)]))


def opening(run: Tracker) -> str:
    """Return the first line of a play: its name and how many hosts it has."""
    return f"{visible(run.play, 80)}: {counted(len(run.hosts), 'host')}"


def failure(host: str, what: str, result: t.Mapping[str, t.Any], location: str | None) -> list[str]:
    """Return what a person needs to know of a failed task.

    what: ``failed``, ``did not answer`` ... with the task's name. location: the file and line of the task. The message
    comes first, then what else the module said, long output cut to its end.
    """
    message = _message_lines(result)
    lines = [f"{visible(host, 200)}: {what}: {visible(message[0], _REASON_LIMIT)}"]
    lines += [f"    {visible(line, _REASON_LIMIT)}" for line in message[1:_MESSAGE_LINES]]
    if len(message) > _MESSAGE_LINES:
        lines.append(f"    ({len(message) - _MESSAGE_LINES:,} more lines; -v shows them)")
    for name in _DETAILS:
        value = result.get(name)
        if value in (None, "", []):
            continue
        detail = str(value).strip().splitlines()
        if len(detail) > _DETAIL_LINES:
            detail = [f"({len(detail) - _DETAIL_LINES:,} lines before; -v shows them)", *detail[-_DETAIL_LINES:]]
        lines += [f"    {name}: {visible(line, _REASON_LIMIT)}" for line in detail]
    if location:
        lines.append(f"    task: {visible(location, 500)}")
    return lines


def _message_lines(result: t.Mapping[str, t.Any]) -> list[str]:
    message = str(result.get("msg") or result.get("censored") or "").strip()
    return [line for line in message.splitlines() if line.strip()] or ["no message was given"]


def message(host: str, words: str) -> str:
    """Return what a task printed for a host; the second and later lines are set in, so that none looks like ours."""
    words = words.replace("\r\n", "\n")
    lines = visible(words, len(words), multiline=True).strip("\n").split("\n")
    return f"{visible(host, 200)}: " + "\n    ".join(lines)


def interrupted(run: Tracker) -> str:
    """Return the last line of a run that was stopped before its end."""
    done = "" if run.done is None else f" with {run.done:,} of {counted(len(run.hosts), 'host')} done"
    return f"Stopped after {duration(run.elapsed)}{done}, before the end of the playbook."


def summary(run: Tracker) -> list[str]:
    """Return the lines that end a run: what was scanned and found, where the report is, who did not answer and why."""
    lines = [_ending(run)]
    if run.report is not None:
        lines += [visible(line) for line in run.report.get("summary") or []]
        if run.report.get("path"):
            lines.append(f"Report: {visible(run.report['path'])}")
    else:
        lines += _findings(run)
    lines += _by_reason("Did not answer", run.unreachable)
    errors = {host: reason for host, reason in run.errors.items() if host not in run.unreachable}
    return lines + _by_reason("With errors", errors)


def _fleet(run: Tracker) -> str:
    parts = [counted(len(run.hosts), "host")]
    if run.done is not None:
        parts.append(f"{run.done:,} done")
    if run.unreachable:
        parts.append(f"{len(run.unreachable):,} did not answer")
    if run.errors:
        parts.append(f"{len(run.errors):,} with errors")
    time = duration(run.elapsed)
    if run.remaining is not None and run.fraction < 1:
        time += f", about {duration(run.remaining)} left"
    return f"{visible(run.play, 40)}: {', '.join(parts)}; {time}"


def _capabilities(run: Tracker) -> list[str]:
    return list(dict.fromkeys([*run.expected, *run.tallies]))


def _capability(run: Tracker, name: str) -> str:
    tally = run.tallies.get(name, Tally())
    total = len(run.hosts)
    looked = len(tally.looked_at)
    filled = _BAR * looked // total if total else 0
    gauge = "#" * filled + "." * (_BAR - filled)
    return f"{capability_name(name)} [{gauge}] {looked:,}/{total:,}  {_severities(tally.severities)}".rstrip()


def _task(run: Tracker, columns: int = 10_000) -> str:
    """Return what the run is at, and the hosts that it waits for, with shorter names where columns are few."""
    if not run.task:
        return ""
    task = shortened(visible(run.task, 80), max(columns // 3, 12), middle=False)
    done = f"{task}: {run.task_done:,}/{run.task_hosts:,}"
    slow = [(visible(host, 80), f"({duration(wait)})") for host, wait in run.at_work(SLOW_AFTER)]
    if not slow:
        busy = len(run.at_work(0))
        return f"{done}, {busy:,} at work" if busy else done

    def words(longest: int) -> str:
        return (
            f"{done}, waiting for {listed([f'{shortened(host, longest)} {wait}' for host, wait in slow], _NAMED_SLOW)}"
        )

    longest = max(len(host) for host, _wait in slow[:_NAMED_SLOW])
    while width(words(longest)) > columns and longest > _SHORTEST_NAME:
        longest -= 1
    return words(longest)


def _severities(counts: t.Mapping[str, int]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in reversed(_finding.SEVERITIES) if counts.get(name))


def _ending(run: Tracker) -> str:
    of = counted(len(run.hosts), "host")
    if run.tallies:
        return f"Scanned {run.scanned:,} of {of} in {duration(run.elapsed)}."
    changed = f", changed {len(run.changed):,}" if run.changed else ""
    return f"{visible(run.play, 80)}: {of} in {duration(run.elapsed)}{changed}."


def _findings(run: Tracker) -> list[str]:
    lines = []
    for name, tally in run.tallies.items():
        checked, partial = tally.statuses[_finding.CHECKED], tally.statuses[_finding.PARTIAL]
        unchecked = len(run.hosts) - checked - partial
        lines.append(
            f"{capability_name(name)}: found {_severities(tally.severities) or 'nothing'};"
            f" hosts: {checked:,} checked, {partial:,} partly checked, {unchecked:,} not checked"
        )
    return lines


def _by_reason(title: str, reasons: t.Mapping[str, str]) -> list[str]:
    hosts: dict[str, list[str]] = collections.defaultdict(list)
    for host, reason in reasons.items():
        hosts[visible(reason)].append(visible(host, 200))
    if not hosts:
        return []
    worst = sorted(hosts.items(), key=lambda item: -len(item[1]))
    lines = [f"{title}: {counted(len(reasons), 'host')}"]
    lines += [f"  {alike.hosts(names, _HOSTS_NAMED)}: {reason}" for reason, names in worst[:_REASONS_NAMED]]
    if len(worst) > _REASONS_NAMED:
        lines.append(f"  and {counted(len(worst) - _REASONS_NAMED, 'other reason')}")
    return lines
