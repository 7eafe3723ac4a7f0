# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Match rules with sign-ins and lines, and put what matches together: one detection for each alert and subject."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import history, views
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator, Match
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Compiled, Explanation
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line, SignIn

SCOPE = "sign_ins"
SIGN_IN = "sign_in"
LOG = "log"

# No rule needs more to see that it was often, and one line of a log may say so many.
_MOST_FED = 1_000
_MOST_COUNTED = 20_000


class Detector:
    """Feed it sign-ins and lines; ``tally`` has what they mean."""

    def __init__(
        self, compiled: Compiled, state: t.Mapping[str, t.Any], known: history.History, tally: Tally | None = None
    ) -> None:
        """state: of the correlations, as ``state`` returned it. Raises ValueError or KeyError for one that is none."""
        self._compiled = compiled
        self._rules = RuleSet(compiled)
        self._correlator = Correlator(compiled, state)
        self._history = known
        self.tally = tally or Tally(SCOPE)
        # Simulated sign-ins count apart, and teach nothing.
        self._apart: Detector | None = None
        self._explanation: Explanation | None = None
        self._counts: dict[tuple[str, str], dict[int, int]] = {}

    @property
    def wants_lines(self) -> bool:
        """Whether any rule looks at the lines of logs themselves."""
        return LOG in self._rules.sources

    def sign_in(self, one: SignIn) -> None:
        view = views.of_sign_in(one)
        view.update(self._history.learn(one))
        matched = self._rules.match(SIGN_IN, view)
        if matched:
            evidence = views.evidence_of_sign_in(one)
            for number in matched:
                self._matched(number, one.time, view, evidence, one.times)

    def simulated(self, sign_in: SignIn, explanation: Explanation) -> None:
        """Feed a sign-in that a simulation made."""
        if self._apart is None:
            self._apart = Detector(self._compiled, {}, history.History(), self.tally)
        self._apart._explanation = explanation
        self._apart.sign_in(sign_in)

    def line(self, line: Line, moment: float) -> None:
        view = views.of_line(line)
        matched = self._rules.match(LOG, view)
        if matched:
            evidence = views.evidence_of_line(line, moment)
            for number in matched:
                self._matched(number, moment, view, evidence, line.repeated)

    def _matched(self, number: int, moment: float, view: t.Mapping[str, t.Any], evidence: t.Any, count: int) -> None:
        rule = self._rules.rule(number)
        if not rule.component:
            self._found(number, view, [evidence], moment, moment, count)
        if self._correlator.wants(number):
            for _time in range(min(count, _MOST_FED)):
                for match in self._correlator.feed(number, moment, view, evidence):
                    self._correlated(match)

    def _correlated(self, match: Match) -> None:
        evidences = match.evidences[-1:] if match.continued else match.evidences
        self._found(match.rule, match.view, evidences, match.first_time, match.last_time, match.events)

    def _found(
        self,
        number: int,
        view: t.Mapping[str, t.Any],
        evidences: t.Sequence[t.Any],
        first: float,
        last: float,
        count: int,
    ) -> None:
        rule = self._rules.rule(number)
        subject = self._rules.subject(number, view)
        more = self._counted(rule.alert, subject, number, count)
        explanation = self._explanation
        if explanation is not None and rule.alert not in explanation.alerts:
            explanation = None
        for evidence in evidences:
            self.tally.add(
                rule.alert,
                subject,
                evidence,
                first,
                last,
                count=more,
                severity=rule.severity,
                techniques=rule.techniques,
                message=self._rules.message(number, view),
                explanation=explanation,
            )
            more = 0  # all are counted with the first; the others only show more of it

    def _counted(self, alert: str, subject: str, number: int, count: int) -> int:
        """Return by how many events a finding grows: rules for fast and slow attacks see the same ones."""
        counts = self._counts.get((alert, subject), {})
        if not counts and len(self._counts) < _MOST_COUNTED:
            self._counts[alert, subject] = counts
        before = max(counts.values(), default=0)
        counts[number] = counts.get(number, 0) + count
        return max(counts.values()) - before

    def problems(self) -> list[str]:
        return [*self._rules.problems, *self._correlator.problems()]

    def state(self, now: float) -> dict[str, t.Any]:
        return self._correlator.state(now)
