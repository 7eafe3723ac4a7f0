# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of pySigma as nodes of the compiled form (``module_utils/sigma/model.py``)."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import fields_of
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.applets import narrowed
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import UnusableError

with contextlib.suppress(ImportError):  # detections.load says what is missing
    from sigma import conditions as sc
    from sigma import types as st

Node = list[t.Any]
Lists = t.Mapping[str, t.Sequence[str]]

# By the names that pySigma has for operators and flags.
_COMPARISONS = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_REGEX_EFFORT = 15
_WORDS_EFFORT = 10
_NETWORK_EFFORT = 30
# What a reader has to find out about an event before it has the field. Who asks for one of these, too, makes events
# different that are the same to other rules (module_utils/audit/detection/verdicts.py).
_FIELD_EFFORT = {
    **dict.fromkeys(("User", "AuditUser", "EffectiveUser", "CurrentDirectory", "LogonId", "Terminal"), 40),
    **dict.fromkeys(("ParentImage", "ParentCommandLine", "ParentProcessId"), 60),
    **dict.fromkeys(("GrandparentImage", "GrandparentCommandLine", "AncestorImages", "ProcessId"), 150),
    "LikelyAncestorImages": 150,
    **dict.fromkeys(("Listener", "ParentListens", "Service", "ServiceAccount"), 50),
}
_SELDOM_DECIDES = 4
_FLAGS = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}


class Translator:
    """Translates the conditions of one rule. fields: how a view calls what the rule calls otherwise.

    own: whether the rule is the collection's own, of which a list of programs may have one that is many.
    """

    def __init__(
        self, lists: Lists, word_fields: t.Sequence[str], fields: t.Mapping[str, str], own: bool = False
    ) -> None:
        self._lists = lists
        self._word_fields = list(word_fields)
        self._fields = fields
        self._own = own

    def node(self, condition: t.Any) -> Node:
        """Return the node of a condition that pySigma parsed. Raises UnusableError."""
        if isinstance(condition, sc.ConditionAND):
            return both([self.node(part) for part in condition.args])
        if isinstance(condition, sc.ConditionOR):
            node = either([self.node(part) for part in condition.args])
            is_list = all(isinstance(part, sc.ConditionFieldEqualsValueExpression) for part in condition.args)
            return narrowed(node) if self._own and is_list else node
        if isinstance(condition, sc.ConditionNOT):
            return ["not", self.node(condition.args[0])]
        if isinstance(condition, sc.ConditionFieldEqualsValueExpression):
            node = self._field(self._fields.get(condition.field, condition.field), condition.value)
            return narrowed(node) if self._own else node
        if isinstance(condition, sc.ConditionValueExpression):
            return self._keyword(condition.value)
        raise UnusableError("the condition is empty", "detection.condition")

    def _field(self, field: str, value: st.SigmaType) -> Node:
        if isinstance(value, st.SigmaString):
            return either([_string(field, string) for string in self._expanded(value)])
        if isinstance(value, (st.SigmaNumber, st.SigmaBool)) and not isinstance(value, st.SigmaTimestampPart):
            return ["text", field, "equals", [str(value).lower()]]
        if isinstance(value, st.SigmaRegularExpression):
            return either([["regex", field, [_pattern(regex)]] for regex in self._expanded(value)])
        if isinstance(value, st.SigmaCIDRExpression):
            return ["network", field, [str(value.network)]]
        if isinstance(value, st.SigmaCompareExpression) and value.op.name in _COMPARISONS:
            return ["number", field, _COMPARISONS[value.op.name], value.number.number]
        if isinstance(value, st.SigmaNull):
            return ["null", field]
        if isinstance(value, st.SigmaExists):
            return ["exists", field] if value.exists else ["not", ["exists", field]]
        if isinstance(value, st.SigmaFieldReference):
            return ["same", field, self._fields.get(value.field, value.field), _reference_test(value)]
        if isinstance(value, st.SigmaExpansion):
            return either([self._field(field, part) for part in value.values])
        raise UnusableError(f"field {field}: {_kind(value)} can't be evaluated on a host", "detection")

    def _keyword(self, value: st.SigmaType) -> Node:
        if isinstance(value, st.SigmaString):
            return either([self._word(string) for string in self._expanded(value)])
        if isinstance(value, (st.SigmaNumber, st.SigmaBool)):
            return ["words", self._word_fields, "contains", [str(value).lower()]]
        if isinstance(value, st.SigmaRegularExpression):
            return either([["patterns", self._word_fields, [_pattern(regex)]] for regex in self._expanded(value)])
        if isinstance(value, st.SigmaExpansion):
            return either([self._keyword(part) for part in value.values])
        raise UnusableError(f"keywords: {_kind(value)} can't be evaluated on a host", "detection")

    def _word(self, string: st.SigmaString) -> Node:
        parts = _parts(string)
        inner = _trimmed(parts)
        cased = isinstance(string, st.SigmaCasedString)
        if not inner:
            raise UnusableError("keywords: an empty one is found everywhere; remove it", "detection")
        if len(inner) == 1 and isinstance(inner[0], str):
            return ["words", self._word_fields, *_cased("contains", inner[0], cased)]
        return ["words", self._word_fields, "like_cased" if cased else "like", [_wildcards(inner, cased)]]

    def _expanded(self, value: t.Any) -> list[t.Any]:
        """Return a value once for each entry of the lists that its placeholders name."""
        if not value.contains_placeholder():
            return [value]

        def entries(placeholder: st.Placeholder) -> t.Iterator[str]:
            if not self._lists.get(placeholder.name):
                known = ", ".join(sorted(self._lists)) or "none"
                raise UnusableError(f"there is no list '{placeholder.name}' to expand; there are: {known}", "detection")
            yield from self._lists[placeholder.name]

        return t.cast("list[t.Any]", value.replace_placeholders(entries))


def both(nodes: t.Iterable[Node]) -> Node:
    """Return the node of all of the nodes, without nesting."""
    flat = list(_flat("and", nodes))
    return flat[0] if len(flat) == 1 else ["and", flat]


def either(nodes: t.Iterable[Node]) -> Node:
    """Return the node of one of the nodes, with tests of the same kind on the same field joined."""
    joined: list[Node] = []
    places: dict[tuple[t.Any, ...], Node] = {}
    for node in _flat("or", nodes):
        if node[0] not in ("text", "regex", "network", "words", "patterns"):
            joined.append(node)
            continue
        key = tuple(tuple(part) if isinstance(part, list) else part for part in node[:-1])
        if key in places:
            places[key][-1] = [*places[key][-1], *(value for value in node[-1] if value not in places[key][-1])]
        else:
            places[key] = list(node)
            joined.append(places[key])
    return joined[0] if len(joined) == 1 else ["or", joined]


def cheapest_first(node: Node) -> Node:
    """Return the same condition with what is quick to find out before what takes longer."""
    kind = node[0]
    if kind in ("and", "or"):
        # What must not be there seldom is: of an "and" it decides less often.
        return [kind, sorted((cheapest_first(part) for part in node[1]), key=_and_effort if kind == "and" else _effort)]
    return [kind, cheapest_first(node[1])] if kind == "not" else node


def patterns_in(node: Node) -> t.Iterator[tuple[str, str]]:
    """Yield the regular expressions of a node and of those in it, each with its flags."""
    kind = node[0]
    if kind in ("and", "or"):
        for part in node[1]:
            yield from patterns_in(part)
    elif kind == "not":
        yield from patterns_in(node[1])
    elif kind in ("regex", "patterns"):
        for pattern, flags in node[2]:
            yield pattern, flags
    elif kind in ("text", "words") and node[2].startswith("like"):
        for pattern in node[3]:
            yield pattern, "s"


def _and_effort(node: Node) -> float:
    return _effort(node) * (_SELDOM_DECIDES if node[0] == "not" else 1)


def _effort(node: Node) -> float:
    """Return about how long it takes to evaluate a condition, in comparisons of a text with one value."""
    kind = node[0]
    if kind in ("and", "or"):
        return sum(map(_effort, node[1]))
    if kind == "not":
        return _effort(node[1])
    return _test_effort(node) + sum(_FIELD_EFFORT.get(field, 0) for field in fields_of(node))


def _test_effort(node: Node) -> float:
    kind = node[0]
    if kind in ("regex", "patterns"):
        return _REGEX_EFFORT * len(node[2])
    if kind in ("text", "words"):
        effort = {"contains": len(node[3]), "like": _REGEX_EFFORT * len(node[3])}.get(node[2].removesuffix("_cased"), 1)
        return effort * (1 if kind == "text" else _WORDS_EFFORT)
    return _NETWORK_EFFORT if kind == "network" else 1


def _flat(kind: str, nodes: t.Iterable[Node]) -> t.Iterator[Node]:
    for node in nodes:
        if node[0] == kind:
            yield from node[1]
        else:
            yield node


def _string(field: str, string: st.SigmaString) -> Node:
    parts = _parts(string)
    inner = _trimmed(parts)
    cased = isinstance(string, st.SigmaCasedString)
    if not inner:
        return ["exists", field] if parts else ["text", field, "equals", [""]]
    before, after = _any(parts[0]), _any(parts[-1])
    if len(inner) == 1 and isinstance(inner[0], str):
        test = {(False, False): "equals", (True, False): "endswith", (False, True): "startswith"}.get((before, after))
        return ["text", field, *_cased(test or "contains", inner[0], cased)]
    pattern = ("" if before else r"\A") + _wildcards(inner, cased) + ("" if after else r"\Z")
    return ["text", field, "like_cased" if cased else "like", [pattern]]


def _cased(test: str, text: str, cased: bool) -> tuple[str, list[str]]:
    return (f"{test}_cased", [text]) if cased else (test, [text.lower()])


def _parts(string: st.SigmaString) -> list[t.Any]:
    """Return a string's parts, neighbouring texts joined."""
    parts: list[t.Any] = []
    for part in string.s:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part != "":
            parts.append(part)
    return parts


def _any(part: t.Any) -> bool:
    return part is st.SpecialChars.WILDCARD_MULTI


def _trimmed(parts: t.Sequence[t.Any]) -> list[t.Any]:
    start, end = 0, len(parts)
    while start < end and _any(parts[start]):
        start += 1
    while end > start and _any(parts[end - 1]):
        end -= 1
    return list(parts[start:end])


def _wildcards(parts: t.Sequence[t.Any], cased: bool) -> str:
    """Return the regular expression of a string with wildcards; in lower case, as the text it is for, unless cased."""
    texts = (part if cased or not isinstance(part, str) else part.lower() for part in parts)
    return "".join(re.escape(part) if isinstance(part, str) else ".*" if _any(part) else "." for part in texts)


def _pattern(regex: st.SigmaRegularExpression) -> list[str]:
    # An intruder chooses where a line ends: a dot must not stop there.
    return [str(regex.regexp), "".join(sorted({"s", *(_FLAGS[flag.name] for flag in regex.flags)}))]


def _reference_test(value: st.SigmaFieldReference) -> str:
    if value.starts_with and value.ends_with:
        return "contains"
    if value.starts_with:
        return "startswith"
    return "endswith" if value.ends_with else "equals"


def _kind(value: st.SigmaType) -> str:
    return type(value).__name__.removeprefix("Sigma")
