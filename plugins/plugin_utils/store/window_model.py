# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows as they come out of the store. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses

# OPENING: the host was asked, and did not say what it did. EXPIRED: its time is over. CLOSED: before that.
OPENING, OPEN, CLOSED, EXPIRED, REFUSED = STATES = ("opening", "open", "closed", "expired", "refused")


@dataclasses.dataclass(frozen=True)
class AppWindow:
    """A time in which a host lets everything run and records what its policy would have stopped.

    opened_by, opened_account, opened_login, opened_asserted: as of a ``JitActor``. reason: why. state: one of STATES.
    until: when it ends by itself. ended_at: when it ended; None while nobody knows that it did. ended_by: who closed
    it, "" if nobody did. end_reason: how it ended, in words.
    """

    id: str
    host: str
    opened_by: str
    opened_account: str
    opened_login: str | None
    opened_asserted: str | None
    reason: str
    opened_at: float
    until: float
    state: str
    ended_at: float | None = None
    ended_by: str | None = None
    end_reason: str | None = None
