# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract between the engine of an investigation and its sources.

A source is a module with ``SCOPE: str`` and ``gather(host: Host, wanted: Wanted, budget: Budget) -> Facts``. The engine
calls it once for each round. The first round has what the processes, connections and audit records connect with the
subject; the second adds what the other sources brought in the first. A source returns facts of ``wanted.new`` and, in
round 0, what does not depend on the subject (all startups, all sessions). A fact that nothing connects is dropped by
``widen``, so a source may return more than what is wanted, within its budget. It never raises for what the host holds:
it calls ``budget.skip`` and goes on.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Node

# Seconds since the epoch, the first and the last.
Window = t.Tuple[float, float]


class Wanted(t.NamedTuple):
    """The nodes that are connected with the subject so far.

    nodes: by id (``model.KINDS``). new: the ids that earlier rounds did not have. windows: when something happened to
    these nodes, sorted and not overlapping; a file that was changed within one of them is near. round: 0 or 1.
    """

    nodes: t.Mapping[str, Node]
    new: t.AbstractSet[str]
    windows: t.Sequence[Window] = ()
    round: int = 0

    def names(self, kind: str, only_new: bool = False) -> list[str]:
        """Return what follows the kind in the ids of all nodes of a kind: the printable paths of files for example."""
        start = kind + ":"
        ids = self.new if only_new else self.nodes
        return sorted(identity[len(start) :] for identity in ids if identity.startswith(start))

    def is_near(self, time: float) -> bool:
        """Say whether a time lies within one of the windows."""
        return any(first <= time <= last for first, last in self.windows)


class Source(t.Protocol):
    """A module that reads one part of the host."""

    SCOPE: str

    def gather(self, host: Host, wanted: Wanted, budget: Budget) -> Facts:
        """Return the host's facts about the wanted nodes."""
        raise NotImplementedError
