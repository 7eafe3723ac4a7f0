# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the times of a file: signs that somebody set them (ATT&CK T1070.006).

Any account can set the time of the content (mtime) of its own files with utimensat(2). The kernel sets the time of the
last change of the inode (ctime) itself, and so it does the birth. Unpacking and copying set times as well (tar, cp -p,
package managers), so a sign is no proof.
"""

from __future__ import annotations

import typing as t

_SECOND = 1_000_000_000
# Clocks are corrected by less, and the kernel's coarse clock ticks every few milliseconds.
_TOLERANCE = 2 * _SECOND
_DAY = 86_400 * _SECOND


class Times(t.NamedTuple):
    """In nanoseconds since the epoch. modified: of the content. changed: of the inode. born: None if unknown."""

    modified: int
    changed: int
    born: int | None = None


def signs(times: Times, now: float, twin: str | None = None) -> list[str]:
    """Return a sentence for each sign that the times of an unpackaged file were set.

    now: seconds since the epoch. twin: another file with the same time of the content to the nanosecond.
    """
    sentences = []
    if times.changed > now * _SECOND + _DAY:
        sentences.append("The clock was wrong when it was last changed: that time is in the future.")
    elif times.modified > times.changed + _TOLERANCE:
        sentences.append("The time of its content is later than its last change, so it was set.")
    if times.born is not None and times.modified < times.born - _TOLERANCE:
        sentences.append(
            "Its content is dated before the file was made: the time was set, or copied or unpacked with it."
        )
    elif times.modified < times.changed - _TOLERANCE and times.modified % _SECOND == 0 and times.changed % _SECOND:
        sentences.append("The time of its content is in whole seconds, as tools set it that take a date.")
    # The clock ticks every few milliseconds: files that one program writes have the same time. touch(1) sets another
    # time than that of its own change.
    if twin is not None and abs(times.changed - times.modified) > _TOLERANCE:
        sentences.append("It has exactly the time of %s, as `touch -r` sets it." % twin)
    return sentences


def happened(times: Times) -> dict[str, float]:
    """Return the times of the file by the word for the event, in seconds since the epoch; equal times only once."""
    events: dict[str, float] = {}
    if times.born is not None:
        events["made"] = times.born / _SECOND
    for word, time in (("modified", times.modified), ("changed", times.changed)):
        if not any(abs(time / _SECOND - other) < 1 for other in events.values()):
            events[word] = time / _SECOND
    return events
