# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say of events what ``detection.verdicts`` says of them, in a fraction of the time.

``FastVerdicts`` is all that others need of this package. It leaves to ``Verdicts`` whatever it can't tell exactly,
and tests compare both event by event.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.model import NOTHING, Looked
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.verdicts import Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast.calls import Calls
from ansible_collections.bulwark.servers.plugins.module_utils.audit.fast.executions import Executions
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event, event_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Processes
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.record_regex import ARGUMENTS
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet


class FastVerdicts:
    """Looks at events in their order, as ``Verdicts`` does, and takes what ``Joiner.found`` returns as it is."""

    def __init__(
        self, rules: RuleSet, compiled: t.Mapping[str, t.Any], processes: Processes, verdicts: Verdicts
    ) -> None:
        self._verdicts = verdicts
        self._calls = Calls(compiled, processes, verdicts.matcher)
        self._executions = Executions(rules, compiled, processes, verdicts.matcher)

    @property
    def commands(self) -> int:
        """Return how many different commands were looked at, as far as that was remembered."""
        return self._verdicts.commands + self._executions.commands

    def look(self, found: Event | t.Match[bytes]) -> t.Sequence[Looked]:
        """Return what the rules say of the next event, nothing where none matches."""
        if isinstance(found, Event):
            return self._verdicts.look(found)
        if found.group(ARGUMENTS) is None:
            calls = self._calls.look(found)
            return self._verdicts.look(event_of(found)) if calls is None else calls
        looked = self._executions.look(found)
        if looked is None:
            return self._verdicts.look(event_of(found))
        return () if looked is NOTHING else (looked,)
