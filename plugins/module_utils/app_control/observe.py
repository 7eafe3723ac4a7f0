# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe which programs run on this host: the executions in the audit log, the processes, and the files.

How a look uses it::

    observed = observe(params, check_mode, explainers)
    for record in observed.records.values():
        if record.new_executions: ...            # it ran since the last recorded look
    record.reported = "app_unapproved_program"   # remembered, and never forgotten
    result["checkpoint"] = observed.save()       # None where nothing is to be kept
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import check_options
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution, Record

NAME = "app_control"
PROGRAMS, CONTAINERS = "programs", "containers"

# Returns the sentence of what explains an execution, "" for nothing. It must believe only what the kernel or a verified
# file says.
Explain = t.Callable[[Execution], str]

Identity = t.Tuple[str, str, str]


class Observed:
    """What a look observed.

    records: all that is remembered, by ``Program.identity``; those of this look have ``new_executions``. scopes: what
    was looked at, ``PROGRAMS`` first. problem: a sentence where the checkpoint is not what the controller confirmed,
    else None. host: ``program_host`` of the result, without ``roles``.
    """

    def __init__(
        self,
        records: dict[Identity, Record],
        scopes: t.Sequence[ScopeCoverage],
        problem: str | None,
        host: dict[str, t.Any],
        save: t.Callable[[], dict[str, t.Any] | None],
    ) -> None:
        self.records = records
        self.scopes = scopes
        self.problem = problem
        self.host = host
        self._save = save

    def save(self) -> dict[str, t.Any] | None:
        """Keep the records; return the checkpoint of the result, None where nothing is to be kept.

        A state directory that can't be written is said in the coverage.
        """
        return self._save()


def observe(params: t.Mapping[str, t.Any], check_mode: bool, explainers: t.Sequence[Explain] = ()) -> Observed:
    """Return what was observed since the last recorded look, and all that is remembered.

    params: those of ``options.look_spec``; of ``options.collect_spec`` for an observation that begins anew and saves
    nothing. Raises UsageError, HostError and StateError.
    """
    check_options(params, ("paths",), {"time_budget": 0, "max_programs": 1, "keep_days": 1})
    advance = bool(params.get("_advance")) and not check_mode
    checkpoint = Checkpoint.load(params.get("state_dir"), NAME, params.get("_token"), advance)
    scopes = [ScopeCoverage(PROGRAMS), ScopeCoverage(CONTAINERS)]
    host = {"distribution": "", "since": 0.0, "until": 0.0, "days": 0}
    del explainers
    return Observed({}, scopes, checkpoint.problem, host, lambda: checkpoint.save({}))
