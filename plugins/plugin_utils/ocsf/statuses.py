# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statuses of a finding, from store to report."""

from __future__ import annotations

# new: only one run has seen it so far. open: seen again, or back after it was resolved. suppressed: a person decided
# to hide it. resolved: a run looked and it is gone, or a person said so.
STATUSES = ("new", "open", "suppressed", "resolved")
# Findings that somebody has to look at.
ACTIVE = ("new", "open")
