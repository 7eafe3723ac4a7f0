# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out when fapolicyd did not run between two looks, also if it runs again.

systemd makes the records SERVICE_STOP and SERVICE_START; the kernel writes the process that made them, so only process
1 counts. If the log lacks them, the start of the daemon's process shows that it was another one before.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event

ALERT, SUBJECT = "app_enforcement_interrupted", "fapolicyd"
STOP, START = RECORDS = (b"SERVICE_STOP", b"SERVICE_START")
_MADE_BY_INIT = re.compile(rb"type=\S+ msg=\S+ pid=1 uid=0 ")
_UNIT = b"msg='unit=fapolicyd "
_MOST = 1_000
# Seconds. A restart takes no longer; whoever needs more time did something meanwhile.
_RESTART = 10.0
# Before and after the time when we ourselves started it anew, such as the confirmation that ends a trial.
_BEFORE, _AFTER = 180.0, 60.0


class Interruption(t.NamedTuple):
    """A time without the daemon, in seconds since the epoch. start: None if it was not started again."""

    stop: float
    start: float | None


class Interruptions:
    """Takes the events of a log in their order; ``state`` is what the next look goes on from."""

    def __init__(self, state: t.Any = None) -> None:
        """state: as ``state`` returned it, None for a first look."""
        self._stopped: tuple[float, int] | None = (float(state[0]), int(state[1])) if state else None
        self._ended: list[Interruption] = []

    def note(self, event: Event) -> None:
        """Take in an event whose first record is one of ``RECORDS``."""
        if _UNIT not in event.raw or not _MADE_BY_INIT.match(event.raw):
            return
        if event.first == STOP:
            self._stopped = self._stopped or (event.time, event.serial)
        elif self._stopped is not None:
            stop, serial = self._stopped
            # The kernel's numbers begin anew at a boot, and a host that goes down stops everything.
            if event.serial > serial and len(self._ended) < _MOST:
                self._ended.append(Interruption(stop, event.time))
            self._stopped = None

    def state(self) -> tuple[float, int] | None:
        """Return when the daemon was stopped without a start since, None if it runs."""
        return self._stopped

    def all(self) -> list[Interruption]:
        """Return all interruptions, the one that lasts included."""
        return self._ended if self._stopped is None else [*self._ended, Interruption(self._stopped[0], None)]


def detections(
    interruptions: t.Sequence[Interruption], expected: t.Sequence[float], scope: str
) -> list[dict[str, t.Any]]:
    """Return one detection of all interruptions, nothing without any.

    expected: when we ourselves started the daemon anew. Expected ones are shown, too, as others can wait for them.
    """
    if not interruptions:
        return []
    others = [each for each in interruptions if not _is_expected(each, expected)]
    severity = "informational" if not others else "medium" if all(map(_is_restart, others)) else "high"
    shown = others or interruptions
    first, last = shown[0].stop, shown[-1].start or shown[-1].stop
    message = "fapolicyd was stopped %s since the last scan, %s." % (_times(len(shown)), _how_long(shown))
    if not others:
        message += " It was when a policy was deployed, or a maintenance window began or ended."
    evidence = {"data": {"stopped": [each.stop for each in shown], "started": [each.start for each in shown]}}
    return [
        detection(
            ALERT,
            SUBJECT,
            scope,
            [evidence],
            severity=severity,
            first_time=first,
            last_time=last,
            count=len(shown),
            message=message,
        )
    ]


def is_another(before: t.Sequence[t.Any], now: t.Sequence[t.Any]) -> bool:
    """Say whether another process of the daemon runs than in the look before. before, now: boot, and their starts.

    The daemon that does not run now is a finding of its own.
    """
    return bool(before and now[1]) and before[0] == now[0] and bool(before[1]) and list(before[1]) != list(now[1])


def unseen(started: float, expected: t.Sequence[float], scope: str) -> dict[str, t.Any]:
    """Return the detection of an interruption of which the log says nothing. started: when the process was."""
    severity = "informational" if any(-_BEFORE <= started - time <= _AFTER for time in expected) else None
    message = (
        "Another process of fapolicyd runs than at the last scan, and the audit log does not say when it was started."
    )
    return detection(ALERT, SUBJECT, scope, [{"data": {"problem": message}}], severity=severity, message=message)


def _is_expected(interruption: Interruption, expected: t.Sequence[float]) -> bool:
    return _is_restart(interruption) and any(-_BEFORE <= interruption.stop - time <= _AFTER for time in expected)


def _is_restart(interruption: Interruption) -> bool:
    return interruption.start is not None and interruption.start - interruption.stop <= _RESTART


def _how_long(interruptions: t.Sequence[Interruption]) -> str:
    if interruptions[-1].start is None:
        return "and does not run since"
    return "for %.0f seconds" % sum((each.start or each.stop) - each.stop for each in interruptions)


def _times(count: int) -> str:
    return "once" if count == 1 else "%d times" % count
