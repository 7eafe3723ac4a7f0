# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a log gets its next line: often enough to see that the run lives, seldom enough for 10,000 hosts."""

from __future__ import annotations

_STEPS = 10
_SHORTEST = 2.0


class Pace:
    """Say when a line is due: at each tenth of the work, at most every two seconds, and after a longest silence.

    longest: that silence, in seconds. The end of the work gets no line, for the summary follows it.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._written = 0.0
        self._step = 0

    def due(self, now: float, fraction: float) -> bool:
        """Return whether a line is due at ``now`` (seconds of the run) with this fraction of the work done (0 to 1)."""
        step = int(fraction * _STEPS)
        silence = now - self._written
        further = step > self._step and step < _STEPS and silence >= _SHORTEST
        if not further and silence < self._longest:
            return False
        self._written = now
        self._step = max(step, self._step)
        return True
