# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's sign-ins since the last run."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import check_options
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.audit.log_scan import LogScan, simulated_sessions
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import coverage, detect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.detect import SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.history import History
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.merge import Merged
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places, Sources
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.summary import Summary
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import Reading

NAME = "sign_ins"
_VERSION = 1
_DAY = 86_400.0


def collect(params: t.Mapping[str, t.Any], check_mode: bool, places: Places | None = None) -> dict[str, t.Any]:
    """Return the result of the module. places: for tests; otherwise as the options say."""
    check_options(params, ("state_dir", "paths", "audit_paths"), {"first_days": 0, "max_findings": 1, "time_budget": 0})
    now = time.time()
    deadline = Deadline(params["time_budget"])
    where = places or Places(params["paths"], params["audit_paths"], params["journal"])
    scan = LogScan(params, check_mode, NAME, _VERSION, SCOPE)

    def start(rules: t.Mapping[str, t.Any], state: t.Mapping[str, t.Any]) -> _Run:
        reading = Reading(deadline.passed, _since(params, state, now), now, simulated_sessions(params))
        return _Run(rules, where, state, reading)

    with contextlib.closing(scan.start(start)) as run:
        run.read()
        coverage.describe(scan.scope, run.sources)
        if run.reading.cut_short:
            scan.scope.skip("newer log entries", deadline.reason + "; the next run continues there")
        for problem in run.detector.problems():
            scan.scope.skip("correlations", problem)
        run.note_rewritten()
        detections = scan.detections(run.detector.tally)
        scan.save(run.state(now))
        return scan.result(detections, sign_ins=run.summary.result())


def _since(params: t.Mapping[str, t.Any], state: t.Mapping[str, t.Any], now: float) -> float:
    if params["since"] is not None:
        return float(params["since"])
    return float(state.get("since", 0.0)) if state else now - params["first_days"] * _DAY


class _Run:
    """One look, with everything that it goes on from."""

    def __init__(
        self, compiled: t.Mapping[str, t.Any], places: Places, state: t.Mapping[str, t.Any], reading: Reading
    ) -> None:
        self.reading = reading
        self.summary = Summary()
        self._history = History(state.get("history"))
        self._merged = Merged(state.get("merged", []))
        self.detector = detect.Detector(compiled, state.get("correlations") or {}, self._history)
        on_line = self.detector.line if self.detector.wants_lines else None
        self.sources = Sources(places, state.get("sources", {}), reading, on_line)

    def close(self) -> None:
        self.sources.close()

    def read(self) -> None:
        for sign_in in self._merged.merge(self.sources.streams()):
            self.summary.add(sign_in)
            self.detector.sign_in(sign_in)
        self.sources.read_lines()
        for sign_in, explanation in self.reading.simulated:
            self.detector.simulated(sign_in, explanation)

    def note_rewritten(self) -> None:
        for log in [*self.sources.logs, *self.sources.audits]:
            for path in log.rewritten:
                problem = "%s was changed in the part that was read before." % path
                self.detector.tally.add(
                    "sign_in_log_rewritten",
                    path,
                    {"data": {"problem": problem}},
                    min(log.modified, self.reading.now),
                    message=problem,
                    is_own=True,
                )

    def state(self, now: float) -> dict[str, t.Any]:
        return {
            "version": _VERSION,
            "since": self.reading.since,
            "history": self._history.saved(),
            "merged": self._merged.saved(),
            "correlations": self.detector.state(now),
            "sources": self.sources.state(),
        }
