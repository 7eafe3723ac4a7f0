# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's sign-ins since the last run."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
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
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, IndexError)
_NO_RULES: t.Mapping[str, t.Any] = {"version": 1, "rules": [], "correlations": []}


def collect(params: t.Mapping[str, t.Any], check_mode: bool, places: Places | None = None) -> dict[str, t.Any]:
    """Return the result of the module. places: for tests; otherwise as the options say."""
    check_options(params, ("state_dir", "paths", "audit_paths"), {"first_days": 0, "max_findings": 1, "time_budget": 0})
    if params["priority"] == "idle":
        yield_to_others()
    advance = bool(params["_advance"]) and not check_mode
    checkpoint = Checkpoint.load(params["state_dir"], NAME, params["_token"], advance=advance)
    now = time.time()
    state = checkpoint.state if checkpoint.state.get("version") == _VERSION else {}
    deadline = Deadline(params["time_budget"])
    reading = Reading(deadline.passed, _since(params, state, now), now)
    scope = ScopeCoverage(SCOPE)
    where = places or Places(params["paths"], params["audit_paths"], params["journal"])
    try:
        run = _Run(_compiled(params), where, state, reading)
    except _DAMAGED as error:
        if not state:
            raise
        # It was written by this module; whatever it is now, reading anew is what can be done.
        scope.skip("checkpoint", "what was remembered of the last run could not be used (%s); read anew" % error)
        reading = Reading(deadline.passed, _since(params, {}, now), now)
        run = _Run(_compiled(params), where, {}, reading)
    with contextlib.closing(run):
        run.read()
        coverage.describe(scope, run.sources)
        if reading.cut_short:
            scope.skip("newer log entries", deadline.reason + "; the next run goes on there")
        for problem in run.detector.problems():
            scope.skip("correlations", problem)
        run.note_rewritten()
        if checkpoint.problem:
            scope.skip("checkpoint", checkpoint.problem + "; what is still in the logs was read anew")
            run.note("audit_state_tampered", "checkpoint of %s" % NAME, printable(checkpoint.problem), now)
        detections, left_out = run.detector.tally.detections(params["max_findings"])
        left_out += run.detector.tally.dropped
        if left_out:
            scope.skip("findings", "%d more were found; raise max_findings to see them" % left_out)
        saved = None
        try:
            saved = checkpoint.save(run.state(now))
        except StateError as error:
            scope.skip("checkpoint", "%s; the next run reads the same again" % error)
        result: dict[str, t.Any] = {
            "changed": False,
            "detections": detections,
            "coverage": [scope.entry()],
            "sign_ins": run.summary.result(),
        }
        if saved is not None:
            result["checkpoint"] = saved
    return result


def _since(params: t.Mapping[str, t.Any], state: t.Mapping[str, t.Any], now: float) -> float:
    if params["since"] is not None:
        return float(params["since"])
    return float(state.get("since", 0.0)) if state else now - params["first_days"] * _DAY


def _compiled(params: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    if not params["_content"]:
        return _NO_RULES
    try:
        return _payload.unpack(params["_content"])
    except ValueError as error:
        raise UsageError(str(error)) from error


class _Run:
    """One look, with everything that it goes on from."""

    def __init__(
        self, compiled: t.Mapping[str, t.Any], places: Places, state: t.Mapping[str, t.Any], reading: Reading
    ) -> None:
        self._reading = reading
        self.summary = Summary()
        self._history = History(state.get("history"))
        self._merged = Merged(state.get("merged", []))
        self.detector = detect.Detector(compiled, state.get("correlations") or {}, self._history)
        on_line = self.detector.line if self.detector.wants_lines else None
        self.sources = Sources(places, state.get("sources", {}), reading, on_line)

    def close(self) -> None:
        self.sources.close()

    def read(self) -> None:
        for one in self._merged.merge(self.sources.streams()):
            self.summary.add(one)
            self.detector.sign_in(one)
        self.sources.read_lines()

    def note(self, alert: str, subject: str, problem: str, moment: float) -> None:
        evidence = {"data": {"problem": problem}}
        self.detector.tally.add(alert, subject, evidence, moment, message=problem)

    def note_rewritten(self) -> None:
        for log in [*self.sources.logs, *self.sources.audits]:
            for path in log.rewritten:
                problem = "%s was changed where it had been read before." % path
                self.note("sign_in_log_rewritten", path, problem, min(log.modified, self._reading.now))

    def state(self, now: float) -> dict[str, t.Any]:
        return {
            "version": _VERSION,
            "since": self._reading.since,
            "history": self._history.saved(),
            "merged": self._merged.saved(),
            "correlations": self.detector.state(now),
            "sources": self.sources.state(),
        }
