# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An event for the explainers of the audit capability, with the view of it that a rule matched."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import About
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process


class MatchedAct(t.NamedTuple):
    """An event that a rule matched. view: what matched, with the fields of ``detection.views``."""

    about: About
    view: t.Mapping[str, t.Any]

    @property
    def event(self) -> Event:
        return self.about.event

    @property
    def kind(self) -> str:
        return self.about.kind

    @property
    def parent(self) -> Process | None:
        return self.about.parent
