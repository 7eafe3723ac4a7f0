# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares of the events of a log, for two processes: what is the same to most rules is in the same share.

So each process asks the rules about its commands, and neither about those that the other one knows. Who makes a log
can't tell what comes to which share: Python's hashes begin with a secret.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.record_regex import ARGUMENTS, NEXT

# All shares together; a process and those that it forked agree on them.
ALL = 64

_CALL = tuple(NEXT.groupindex[name] for name in ("c_rest", "saddr", "c_path0"))


class Share:
    """The events with a number from ``start`` and below ``end``, of ``ALL``; for what ``Joiner.found`` returns."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def __contains__(self, one: Event | t.Match[bytes]) -> bool:
        if isinstance(one, Event):
            # What stands alone begins with the process, which is another one each time.
            raw = one.raw
            number = hash(raw[max(0, raw.find(b"msg='")) :])
        else:
            number = hash(one.group(ARGUMENTS) or one.group(*_CALL))
        return self.start <= number % ALL < self.end
