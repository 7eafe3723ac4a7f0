# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to say of events that are not in the log."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.serials import Hole

_SHOWN = 3
# A file in which events are missing all over, and which no daemon writes, is a part of a log that somebody chose.
_EXCERPT = 10
_FEW = 20


class Missing(t.NamedTuple):
    """sentences: for the coverage. alert: the holes that nothing explains, of which people are to know."""

    sentences: list[str]
    alert: list[Hole]

    @property
    def events(self) -> int:
        return sum(hole.events for hole in self.alert)


def missing(holes: t.Sequence[Hole], events: int, since: float | None, is_chosen: bool = False) -> Missing:
    """Return what to say. events: how many were read. since: what is before is of no interest.

    is_chosen: whether somebody named the file, which is not the one that the host's own daemon writes. Only such a file
    can be an excerpt: whoever makes holes all over the log of a host must not be silent for it.
    """
    holes = [hole for hole in holes if since is None or hole.before >= since]
    if is_chosen and len(holes) > max(_FEW, events // _EXCERPT):
        sentence = "the log is incomplete: %s throughout it" % _many(holes)
        return Missing([sentence], [])
    restarted = [hole for hole in holes if hole.restarted and hole.orderly]
    others = [hole for hole in holes if not (hole.restarted and hole.orderly)]
    sentences = []
    if others:
        sentences.append(
            "%s: auditd was too slow, was killed or did not run, or somebody removed them" % sentence_of(others)
        )
    if restarted:
        sentences.append("%s, when auditd was restarted" % sentence_of(restarted))
    return Missing(sentences, others)


def sentence_of(holes: t.Sequence[Hole]) -> str:
    """Return how many are missing, and of when; without a full stop."""
    after, before = min(hole.after for hole in holes), max(hole.before for hole in holes)
    return "%s from between %s and %s" % (_many(holes), _time(after), _time(before))


def evidences(holes: t.Sequence[Hole]) -> list[dict[str, t.Any]]:
    """Return OCSF evidence of the largest holes."""
    largest = sorted(holes, key=lambda hole: -hole.events)[:_SHOWN]
    return [
        {
            "data": {
                "missing_events": hole.events,
                "first_number": hole.first,
                "last_number": hole.last,
                "after": _time(hole.after),
                "before": _time(hole.before),
            }
        }
        for hole in largest
    ]


def _many(holes: t.Sequence[Hole]) -> str:
    count = sum(hole.events for hole in holes)
    return "%d event%s that the kernel recorded %s missing" % (
        count,
        "" if count == 1 else "s",
        "is" if count == 1 else "are",
    )


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
