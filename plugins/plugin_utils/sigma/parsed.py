# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents as rules, correlations and filters of pySigma, with their references to each other resolved."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.documents import Document
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import Problem

with contextlib.suppress(ImportError):  # detections.load says what is missing
    from sigma.correlations import SigmaCorrelationRule, SigmaRuleReference
    from sigma.filters import SigmaFilter
    from sigma.policy.profiles import TrustedPolicy
    from sigma.rule import SigmaRule
    from sigma.rule.detection import SigmaDetection

# pySigma's errors without which there is no rule, and the part of the rule that they are about; the first that fits
# counts. A date that is none, say, is nothing to lose a detection for.
_FATAL = {
    "SigmaLogsourceError": "logsource",
    "SigmaConditionError": "detection.condition",
    "SigmaTimespanError": "correlation.timespan",
    "SigmaCorrelationConditionError": "correlation.condition",
    "SigmaCorrelationTypeError": "correlation.type",
    "SigmaCorrelationRuleError": "correlation",
    "SigmaFilterError": "filter",
    "SigmaDetectionError": "detection",
    "SigmaModifierError": "detection",
    "SigmaValueError": "detection",
    "SigmaLevelError": "level",
    "SigmaIdentifierError": "id",
}
# SigmaError is a ValueError.
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError, RecursionError)

Entry = tuple[t.Any, Document]


@dataclasses.dataclass(frozen=True)
class Parsed:
    """Rules and correlations with their documents; a correlation comes after those that it refers to.

    components: the ``id()`` of those that only make up correlations.
    """

    rules: tuple[Entry, ...]
    correlations: tuple[Entry, ...]
    components: frozenset[int]


def parse_all(documents: t.Iterable[Document]) -> tuple[Parsed, list[Problem]]:
    """Return the parsed documents, and a problem for each other one."""
    problems: list[Problem] = []
    rules: list[Entry] = []
    correlations: list[Entry] = []
    filters: list[Entry] = []
    names = _Names()
    for document in documents:
        parsed = _parse(document)
        if not isinstance(parsed, Problem):
            twin = names.add(parsed, document)
            if twin is not None:
                parsed = document.problem(f"{twin.path}, line {twin.line}, has the same id, and is used", "id")
        if isinstance(parsed, Problem):
            problems.append(parsed)
        elif isinstance(parsed, SigmaCorrelationRule):
            correlations.append((parsed, document))
        elif isinstance(parsed, SigmaFilter):
            filters.append((parsed, document))
        else:
            rules.append((parsed, document))
    problems += _apply_filters(filters, rules)
    resolved = []
    for entry in correlations:
        problem = _resolve(entry, names)
        if problem is None:
            resolved.append(entry)
        else:
            problems.append(problem)
    ordered, circular = _ordered(resolved)
    return Parsed(tuple(rules), tuple(ordered), _components(ordered)), problems + circular


class _Names:
    """Rules and correlations by what references call them."""

    def __init__(self) -> None:
        self._found: dict[str, t.Any] = {}
        self._documents: dict[str, Document] = {}

    def add(self, rule: t.Any, document: Document) -> Document | None:
        """Take a rule in; return the document that has the same id instead, where there is one."""
        identity = str(rule.id) if rule.id is not None else None
        if identity in self._documents:
            return self._documents[identity]
        if identity is not None:
            self._documents[identity] = document
            self._found[identity] = rule
        if rule.name:
            self._found.setdefault(rule.name, rule)
        return None

    def get(self, reference: str) -> t.Any:
        return self._found.get(reference, self._found.get(reference.lower()))


def _parse(document: Document) -> t.Any:
    data = document.data
    if "action" in data:
        return document.problem("collections by action are not supported; write each rule out in full", "action")
    if isinstance(detection := data.get("detection"), dict):
        conditions = detection.get("condition", "")
        if not all(isinstance(each, str) for each in (conditions if isinstance(conditions, list) else [conditions])):
            return document.problem("condition is a text; put one like 'on' or 'no' in quotes", "detection.condition")
    kind: t.Any = SigmaRule
    if "correlation" in data:
        kind = SigmaCorrelationRule
    elif "filter" in data:
        kind = SigmaFilter
    try:
        # Hosts match with Python's regular expressions, so that these are what a rule has to be valid for.
        rule = kind.from_dict(data, collect_errors=True, policy=TrustedPolicy)
    except _MALFORMED as error:
        return document.problem(f"no valid Sigma rule: {_sentence(error)}")
    for found in rule.errors:
        part = next((_FATAL[kind.__name__] for kind in type(found).__mro__ if kind.__name__ in _FATAL), None)
        if part is not None:
            return document.problem(_sentence(found), _closer(document, part))
    return rule


def _closer(document: Document, part: str) -> str:
    """Return the name of the search in a detection that pySigma does not take, to name its line."""
    detection = document.data.get("detection")
    if part != "detection" or not isinstance(detection, dict):
        return part
    for name, definition in detection.items():
        if name == "condition":
            continue
        try:
            SigmaDetection.from_definition(definition, policy=TrustedPolicy)
        except _MALFORMED:
            return f"detection.{name}"
    return part


def _sentence(error: Exception) -> str:
    return " ".join(str(error.args[0] if error.args else error).split())


def _apply_filters(filters: t.Sequence[Entry], rules: list[Entry]) -> list[Problem]:
    """Let filters narrow the rules they name."""
    problems = []
    for sigma_filter, document in filters:
        used = False
        for number, (rule, where) in enumerate(rules):
            before = list(rule.detection.condition)
            rules[number] = (sigma_filter.apply_on_rule(rule), where)
            used = used or list(rules[number][0].detection.condition) != before
        if not used:
            problems.append(document.problem("no rule is one that this filter names, with its log source", "filter"))
    return problems


def _resolve(entry: Entry, names: _Names) -> Problem | None:
    rule, document = entry
    references = rule.rules
    if references is None:
        references = [SigmaRuleReference(name) for name in rule.condition.get_referenced_rules()]
    rule.referenced_rules = references
    for reference in references:
        reference.rule = names.get(reference.reference)
        if reference.rule is None:
            return document.problem(
                f"the rule '{reference.reference}' that it refers to is missing or can't be used",
                "correlation.rules",
            )
    return None


def _ordered(correlations: t.Sequence[Entry]) -> tuple[list[Entry], list[Problem]]:
    """Return correlations after those that they refer to, and a problem for each that comes back to itself."""
    documents = {id(rule): document for rule, document in correlations}
    ordered: list[Entry] = []
    problems: list[Problem] = []
    state: dict[int, bool] = {}

    def place(rule: t.Any) -> bool:
        """Return whether the rule is placed; one that is being placed refers to itself."""
        if id(rule) not in documents:
            return isinstance(rule, SigmaRule)
        if id(rule) in state:
            return state[id(rule)]
        state[id(rule)] = False
        if all(place(reference.rule) for reference in rule.referenced_rules):
            state[id(rule)] = True
            ordered.append((rule, documents[id(rule)]))
        else:
            problems.append(
                documents[id(rule)].problem("a correlation that it refers to can't be used", "correlation.rules")
            )
        return state[id(rule)]

    for rule, _document in correlations:
        place(rule)
    return ordered, problems


def _components(correlations: t.Iterable[Entry]) -> frozenset[int]:
    return frozenset(
        id(reference.rule)
        for correlation, _document in correlations
        if not correlation.generate
        for reference in correlation.referenced_rules
    )
