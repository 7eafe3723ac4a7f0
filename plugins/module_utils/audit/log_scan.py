# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scans of audit events and of sign-ins share: the rules, the checkpoint, and the result."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import MOST_GROUPS, Tally

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.automation.simulated import SimulatedSessions

State = t.Mapping[str, t.Any]
_T = t.TypeVar("_T")
_NO_RULES: t.Mapping[str, t.Any] = {"version": 1, "rules": [], "correlations": []}
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, IndexError)


class LogScan:
    """A scan of logs that goes on where the last recorded one stopped. scope: what its coverage says."""

    def __init__(self, params: t.Mapping[str, t.Any], check_mode: bool, name: str, version: int, scope: str) -> None:
        """name: of the checkpoint. version: of its state; another one is read anew. Raises UsageError, StateError."""
        if params["priority"] == "idle":
            yield_to_others()
        self._name, self._most_findings = name, params["max_findings"]
        advance = bool(params["_advance"]) and not check_mode
        self._checkpoint = Checkpoint.load(params["state_dir"], name, params["_token"], advance)
        state = self._checkpoint.state
        self._state: State = state if state.get("version") == version else {}
        self._rules = _compiled(params)
        self._saved: t.Any = None
        self.scope = ScopeCoverage(scope)

    def start(self, make: t.Callable[[t.Mapping[str, t.Any], State], _T]) -> _T:
        """Return what ``make`` makes of the rules and the state; without the state where that is damaged."""
        if self._state:
            try:
                return make(self._rules, self._state)
            except _DAMAGED as error:
                # It was written by this module; whatever it is now, reading anew is what can be done.
                self.scope.skip(
                    "checkpoint", "the saved state of the last run can't be used (%s); the logs were read again" % error
                )
        try:
            return make(self._rules, {})
        except _DAMAGED as error:
            raise UsageError("_content: the rules can't be used: %s" % error) from error

    def detections(self, tally: Tally) -> list[dict[str, t.Any]]:
        """Return the detections, among them that the checkpoint was tampered with; say how many are left out."""
        problem = self._checkpoint.problem
        if problem:
            self.scope.skip("checkpoint", problem + "; the remaining logs were read again")
            shown = printable(problem)
            tally.add(
                "audit_state_tampered",
                "checkpoint of %s" % self._name,
                {"data": {"problem": shown}},
                time.time(),
                message=shown,
                is_own=True,
            )
        found, left_out = tally.detections(self._most_findings)
        if left_out:
            self.scope.skip(
                "findings",
                "the least severe findings were left out (%d); raise max_findings (audit_max_findings of the role)"
                % left_out,
            )
        if tally.dropped:
            self.scope.skip(
                "events",
                "%d events that match rules were left out, as there were %d findings already; filter what is noise, or"
                " scan more often" % (tally.dropped, MOST_GROUPS),
            )
        return found

    def save(self, state: State) -> None:
        """Save what the next scan goes on from."""
        try:
            self._saved = self._checkpoint.save(state)
        except StateError as error:
            self.scope.skip("checkpoint", "%s; the next run reads the same again" % error)

    def result(self, detections: list[dict[str, t.Any]], **figures: t.Any) -> dict[str, t.Any]:
        """Return the result of the module."""
        result = {"changed": False, "detections": detections, "coverage": [self.scope.entry()], **figures}
        if self._saved is not None:
            result["checkpoint"] = self._saved
        return result


def simulated_sessions(params: t.Mapping[str, t.Any]) -> SimulatedSessions | None:
    """Return the sessions of simulated attacks, which takes long to load where there are none. Raises UsageError."""
    if not params.get("_simulated"):
        return None
    from ansible_collections.bulwark.servers.plugins.module_utils.automation import simulated

    return simulated.sessions_of(params)


def _compiled(params: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    if not params["_content"]:
        return _NO_RULES
    try:
        return _payload.unpack(params["_content"])
    except ValueError as error:
        raise UsageError(str(error)) from error
