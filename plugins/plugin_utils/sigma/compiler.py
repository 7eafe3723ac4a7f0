# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of rules, compiled: what can be used goes to the hosts, and what can't is named."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import compiled as built_pattern
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import condition as built
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import FORMAT_VERSION
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.correlate import correlation
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.documents import Document
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet_conditions import condition_for_dotnet
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.facts import Known, facts
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.nodes import (
    Lists,
    Node,
    Translator,
    both,
    cheapest_first,
    either,
    patterns_in,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.parsed import Parsed, parse_all
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.prefilter import needed, prefilter
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import (
    ForeignError,
    Problem,
    UnusableError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.reachable import never_set
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX, WINDOWS, Source, sources_of

with contextlib.suppress(ImportError):  # detections.load says what is missing
    from sigma.exceptions import SigmaError

# How the enriched part of an audit record calls what a view has under the plain name.
_AUDITD_FIELDS = {"SYSCALL": "syscall", "UID": "uid", "AUID": "auid", "EUID": "euid", "GID": "gid", "ARCH": "arch"}


@dataclasses.dataclass(frozen=True)
class Compilation:
    """What became of some documents.

    payload: the compiled form. problems: what is not used, and why. foreign: how many of the user's rules are for other
    systems.
    loaded: how many rules and correlations are in the payload, each counted once.
    """

    payload: dict[str, t.Any]
    problems: tuple[Problem, ...]
    foreign: int
    loaded: int


def compile_rules(
    documents: t.Sequence[Document],
    known: Known,
    lists: Lists,
    first: t.Sequence[dict[str, t.Any]] = (),
    platform: str = LINUX,
) -> Compilation:
    """Compile documents. known: what rules may name. lists: what ``expand`` puts in, by name.

    first: compiled rules that are not from documents, to which those from documents are added. platform: one of
    ``sources.PLATFORMS``; rules for another are foreign.
    """
    parsed, problems = parse_all(documents)
    compiler = _Compiler(known, lists, parsed, platform)
    compiler.rules += first
    compiler.compile()
    payload = {"version": FORMAT_VERSION, "rules": compiler.rules, "correlations": compiler.correlations}
    return Compilation(payload, tuple(problems + compiler.problems), compiler.foreign, compiler.loaded)


class _Compiler:
    def __init__(self, known: Known, lists: Lists, parsed: Parsed, platform: str) -> None:
        self._known = known
        self._platform = platform
        self._lists = lists
        self._parsed = parsed
        # Where a rule or a correlation is in the compiled form, by the identity of pySigma's object; a correlation is
        # counted from the end of the rules.
        self._places: dict[int, list[int]] = {}
        # The rules for other systems, by the same identity.
        self._foreign: set[int] = set()
        self.rules: list[dict[str, t.Any]] = []
        self.correlations: list[dict[str, t.Any]] = []
        self.problems: list[Problem] = []
        self.foreign = 0
        self.loaded = 0

    def compile(self) -> None:
        for entry in self._parsed.rules:
            self._try(entry, self._rule)
        for entry in self._parsed.correlations:
            self._try(entry, self._correlation)

    def _try(self, entry: tuple[t.Any, Document], compile_one: t.Callable[[t.Any, Document], None]) -> None:
        rule, document = entry
        try:
            compile_one(rule, document)
        except ForeignError:
            self._foreign.add(id(rule))
            self.foreign += 0 if document.own else 1
        except UnusableError as error:
            self.problems.append(document.problem(str(error), error.part))
        except SigmaError as error:
            self.problems.append(document.problem(str(error.args[0] if error.args else error), "detection.condition"))
        else:
            self.loaded += 1

    def _rule(self, rule: t.Any, document: Document) -> None:
        component = id(rule) in self._parsed.components
        said = facts(rule, document, self._known, component)
        fields = _named_fields(rule)
        logsource = rule.logsource
        places: list[int] = []
        missing: list[str] = []
        asked = (logsource.category, logsource.product, logsource.service)
        for source in sources_of(*asked, fields, self._platform):
            node = self._condition(rule, source, document)
            if source.name == "auditd":
                _check_syscall_numbers(node)
            if lacking := never_set(node, self._known.fields_of(source.name)):
                missing.append(
                    f"no event of {source.name} on these hosts has {' or '.join(lacking)}, so nothing could match"
                )
                continue
            places.append(len(self.rules))
            condition = condition_for_dotnet(node) if self._platform == WINDOWS else node
            compiled = {**said, "source": source.name, "condition": condition}
            quick, needs = prefilter(node), needed(node)
            if quick is not None:
                compiled["prefilter"] = quick
            if needs:
                compiled["needs"] = needs
            if said.get("subject"):
                compiled["fields"] = sorted(said["subject"])
            self.rules.append(compiled)
        if not places:
            raise UnusableError(missing[0], "detection")
        self._places[id(rule)] = places

    def _condition(self, rule: t.Any, source: Source, document: Document) -> Node:
        names = _AUDITD_FIELDS if source.name == "auditd" else source.fields
        translator = Translator(self._lists, source.word_fields, names, document.own)
        parsed = [translator.node(copy.copy(condition).parse()) for condition in rule.detection.parsed_condition]
        node = either(parsed)
        if source.extra is not None:
            node = both([node, source.extra])
        node = cheapest_first(node)
        try:
            built(node)
            for pattern, flags in patterns_in(node):
                built_pattern(pattern, flags)
        except (ValueError, re.error, RecursionError) as error:
            raise UnusableError(f"the host could not use it: {error}", "detection") from error
        return node

    def _correlation(self, rule: t.Any, document: Document) -> None:
        if any(id(reference.rule) in self._foreign for reference in rule.referenced_rules):
            raise ForeignError("the rules that it refers to are for other systems", "correlation.rules")
        component = id(rule) in self._parsed.components
        said = facts(rule, document, self._known, component)
        compiled = correlation(rule, self._places)
        # What a finding is about is what its events have in common.
        said.setdefault("subject", [entry["name"] for entry in compiled["group"]])
        self._places[id(rule)] = [len(self.rules) + len(self.correlations)]
        self.correlations.append({**said, **compiled, "key": self._key(said, compiled)})
        # The reader has to put into the views of the parts what the correlation reads of them.
        for part, numbers in enumerate(compiled["parts"]):
            fields = {entry["fields"][part] for entry in compiled["group"]}
            fields.update(compiled.get("values", ()), said.get("subject", ()))
            for number in numbers:
                if number < len(self.rules):
                    self.rules[number]["fields"] = sorted({*self.rules[number].get("fields", ()), *fields})

    def _key(self, said: t.Mapping[str, t.Any], compiled: t.Mapping[str, t.Any]) -> str:
        """Return what tells whether a host's state is of this very correlation."""
        entries = [*self.rules, *self.correlations]
        parts = [sorted({entries[number]["id"] for number in numbers}) for numbers in compiled["parts"]]
        text = json.dumps([said["id"], {**compiled, "parts": parts}], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _named_fields(rule: t.Any) -> set[str]:
    """Return the fields that a rule's searches name."""
    found, pending = set(), list(rule.detection.detections.values())
    while pending:
        item = pending.pop()
        if hasattr(item, "detection_items"):
            pending += item.detection_items
        elif item.field is not None:
            found.add(item.field)
    return found


def _check_syscall_numbers(node: Node) -> None:
    if node[0] in ("and", "or"):
        for part in node[1]:
            _check_syscall_numbers(part)
    elif node[0] == "not":
        _check_syscall_numbers(node[1])
    elif node[:2] == ["text", "syscall"] and any(value.isdigit() for value in node[3]):
        raise UnusableError("syscall: numbers differ between architectures; write the name of the call", "detection")
