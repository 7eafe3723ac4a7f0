# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of an investigation besides processes, connections and audit records, in the order of their use."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation import (
    accounts,
    details,
    files,
    logs,
    packages,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.persistence import startups as persistence
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted


class Entry(t.NamedTuple):
    """A source. share: of the seconds that all sources have; bytes: that it may read in one round."""

    scope: str
    gather: t.Callable[[Host, Wanted, Budget], Facts]
    share: float
    bytes: int


ALL: t.Sequence[Entry] = (
    Entry(details.SCOPE, details.gather, 0.2, 256 << 20),
    Entry(files.SCOPE, files.gather, 0.3, 256 << 20),
    Entry(persistence.SCOPE, persistence.gather, 0.2, 64 << 20),
    Entry(accounts.SCOPE, accounts.gather, 0.1, 64 << 20),
    Entry(packages.SCOPE, packages.gather, 0.1, 64 << 20),
    Entry(logs.SCOPE, logs.gather, 0.1, 64 << 20),
)
