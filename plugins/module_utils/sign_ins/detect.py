# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Match rules with sign-ins and lines, and put what matches together: one detection for each alert and subject."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES, detection
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator, Match
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Compiled, Rule
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.wording import message_of, subject_of
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import history, views
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line, SignIn

SCOPE = "sign_ins"
SIGN_IN = "sign_in"
LOG = "log"

# Of one finding: the first, and the last ones.
_RECENT = 4
_MOST_FOUND = 20_000
# No rule needs more to see that it was often, and one line of a log may say so many.
_MOST_FED = 1_000


class _Found:
    __slots__ = ("count", "evidences", "first", "last", "message", "recent", "rule")

    def __init__(self, rule: Rule, moment: float) -> None:
        self.rule = rule
        self.first = self.last = moment
        self.count = 0
        self.message: str | None = None
        self.evidences: list[t.Any] = []
        self.recent: collections.deque[t.Any] = collections.deque(maxlen=_RECENT)


class Detector:
    """Feed it sign-ins and lines; ``detections`` returns what they mean. ``left_out``: how many found nothing more."""

    def __init__(self, compiled: Compiled, state: t.Mapping[str, t.Any], known: history.History) -> None:
        """state: of the correlations, as ``state`` returned it. Raises ValueError or KeyError for one that is none."""
        self._rules = RuleSet(compiled)
        self._correlator = Correlator(compiled, state)
        self._history = known
        self._found: dict[tuple[str, str], _Found] = {}
        self.left_out = 0

    @property
    def wants_lines(self) -> bool:
        """Whether any rule looks at lines that are about no sign-in."""
        return LOG in self._rules.sources

    def sign_in(self, one: SignIn) -> None:
        view = views.of_sign_in(one)
        view.update(self._history.learn(one))
        matched = self._rules.match(SIGN_IN, view)
        if matched:
            evidence = views.evidence_of_sign_in(one)
            for number in matched:
                self._matched(number, one.time, view, evidence, one.count)

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
            found = self._of(rule, subject_of(rule, view), moment)
            if found is not None:
                found.count += count
                found.message = message_of(rule, view)
                _show(found, moment, [evidence])
        if self._correlator.wants(number):
            for _time in range(min(count, _MOST_FED)):
                for match in self._correlator.feed(number, moment, view, evidence):
                    self._correlated(match)

    def _correlated(self, match: Match) -> None:
        rule = self._rules.rule(match.rule)
        found = self._of(rule, subject_of(rule, match.view), match.first_time)
        if found is None:
            return
        found.count += match.events
        found.message = message_of(rule, {**match.view, "Count": str(found.count), "Values": ", ".join(match.values)})
        _show(found, match.first_time, [])
        _show(found, match.last_time, match.evidences[-1:] if match.continued and found.evidences else match.evidences)

    def _of(self, rule: Rule, subject: str, moment: float) -> _Found | None:
        key = (rule.alert, subject)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= _MOST_FOUND:
                self.left_out += 1
                return None
            found = self._found[key] = _Found(rule, moment)
        elif _weight(rule) > _weight(found.rule):
            found.rule = rule
        return found

    def detections(self, most: int) -> list[dict[str, t.Any]]:
        """Return at most so many detections, the most severe first, then the ones that happened most often."""
        ordered = sorted(self._found.items(), key=lambda item: (-_weight(item[1].rule), -item[1].count, item[0]))
        self.left_out += max(0, len(ordered) - most)
        return [
            detection(
                alert,
                subject,
                SCOPE,
                [*found.evidences, *found.recent],
                severity=found.rule.severity,
                first_time=found.first,
                last_time=found.last,
                count=found.count,
                message=found.message,
                techniques=found.rule.techniques,
            )
            for (alert, subject), found in ordered[:most]
        ]

    def problems(self) -> list[str]:
        return self._correlator.problems()

    def state(self, now: float) -> dict[str, t.Any]:
        return self._correlator.state(now)


def _weight(rule: Rule) -> int:
    return SEVERITIES.index(rule.severity) if rule.severity in SEVERITIES else -1


def _show(found: _Found, moment: float, evidences: t.Iterable[t.Any]) -> None:
    found.first, found.last = min(found.first, moment), max(found.last, moment)
    for evidence in evidences:
        if not found.evidences:
            found.evidences.append(evidence)
        elif evidence not in found.recent and evidence != found.evidences[0]:
            found.recent.append(evidence)
