# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What something costs, in a measure that other load on the machine hardly changes."""

from __future__ import annotations

import contextlib
import resource
import typing as t


class Spent:
    """seconds: processor time of this process and of those it started and waited for, when the block has ended."""

    seconds = 0.0


@contextlib.contextmanager
def spent() -> t.Iterator[Spent]:
    """Measure a block."""
    found, before = Spent(), _seconds()
    yield found
    found.seconds = _seconds() - before


def _seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
