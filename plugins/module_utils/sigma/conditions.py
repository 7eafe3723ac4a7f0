# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions as functions: what a node of a compiled rule becomes on the host."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Node, View
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.search_timeout import SHORT, Search, limited

_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


# A field's texts: most have one. None where there is no value; more than one in a list.
Texts = t.Union[str, t.Tuple[str, ...]]


class Values(t.Dict[str, Texts]):
    """The texts of one view's fields, made when a condition asks for them: as they are, and in lower case."""

    __slots__ = ("lower", "view")

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
        self.lower = _Lower(view)

    def __missing__(self, field: str) -> Texts:
        value = self.view.get(field)
        texts = self[field] = value if value.__class__ is str else texts_of(value)
        return texts


class _Lower(t.Dict[str, Texts]):
    __slots__ = ("_view",)

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view

    def __missing__(self, field: str) -> Texts:
        if field == ALL_FIELDS:
            return "\0".join(text.lower() for name in self._view for text in texts_of(self._view.get(name)))
        value = self._view.get(field)
        if value.__class__ is str:
            texts: Texts = value.lower()
        else:
            texts = tuple(text.lower() for text in texts_of(value))
        self[field] = texts
        return texts


Condition = t.Callable[[Values], bool]
_Test = t.Callable[[str], bool]


def texts_of(value: t.Any) -> tuple[str, ...]:
    """Return a field's value as texts: none where there is no value, several for a list."""
    if isinstance(value, str):
        return (value,)
    if value is None:
        return ()
    if isinstance(value, (list, tuple)):
        return tuple(str(element) for element in value)
    return (str(value),)


def condition(node: Node) -> Condition:
    """Return the function that says whether a view satisfies a node. Raises re.error, KeyError and ValueError.

    The function raises TooLongError, and re.error for a pattern that was not compiled before.
    """
    return _BUILDERS[node[0]](*node[1:])


def all_of(checks: t.Sequence[Condition]) -> Condition:
    parts = tuple(checks)

    def check(values: Values) -> bool:
        for part in parts:  # noqa: SIM110 - a generator for all() takes twice as long
            if not part(values):
                return False
        return True

    return check


def any_of(checks: t.Sequence[Condition]) -> Condition:
    parts = tuple(checks)

    def check(values: Values) -> bool:
        for part in parts:  # noqa: SIM110 - as above
            if part(values):
                return True
        return False

    return check


def negated(check: Condition) -> Condition:
    return lambda values: not check(values)


def _and(nodes: t.Sequence[Node]) -> Condition:
    return all_of([condition(node) for node in nodes])


def _or(nodes: t.Sequence[Node]) -> Condition:
    return any_of([condition(node) for node in nodes])


def _not(node: Node) -> Condition:
    return negated(condition(node))


def _text(field: str, test: str, wanted: t.Sequence[str]) -> Condition:
    passes = _text_test(test, wanted)
    if test.endswith("_cased"):
        return _one_of(field, passes)

    def check(values: Values) -> bool:
        texts = values.lower[field]
        return passes(texts) if texts.__class__ is str else any(map(passes, texts))

    return check


def _one_of(field: str, passes: _Test) -> Condition:
    """Return the condition that one of a field's texts passes a test."""

    def check(values: Values) -> bool:
        texts = values[field]
        return passes(texts) if texts.__class__ is str else any(map(passes, texts))

    return check


def _each(texts: Texts) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


def _text_test(test: str, wanted: t.Sequence[str]) -> _Test:
    kind = test[: -len("_cased")] if test.endswith("_cased") else test
    if kind == "equals":
        return frozenset(wanted).__contains__
    if kind == "contains":
        return _containing(wanted)
    if kind == "startswith":
        starts = tuple(wanted)
        return lambda text: text.startswith(starts)
    if kind == "endswith":
        ends = tuple(wanted)
        return lambda text: text.endswith(ends)
    if kind == "like":
        return _finding([(pattern, "s") for pattern in wanted])
    raise ValueError("a compiled rule has the unknown test '%s'" % test)


def _containing(wanted: t.Sequence[str]) -> _Test:
    if len(wanted) == 1:
        only = wanted[0]
        return lambda text: only in text
    needles = tuple(wanted)

    def check(text: str) -> bool:
        for needle in needles:  # noqa: SIM110 - as above
            if needle in text:
                return True
        return False

    return check


def _regex(field: str, patterns: t.Sequence[t.Sequence[str]], _literals: t.Any = None) -> Condition:
    found = _finding(patterns)
    return _one_of(field, found)


def compiled(pattern: str, flags: str) -> t.Pattern[str]:
    """Return a pattern of a rule, compiled. Raises re.error."""
    return re.compile(_quick(pattern, flags), _flags(flags))


def _finding(patterns: t.Sequence[t.Sequence[str]]) -> _Test:
    """Return the test that one of the patterns is found. Raises re.error for one that only some Pythons take.

    The others are compiled when a text is first looked at: most are for programs that hardly any log has.
    """
    searches: tuple[Search, ...] = ()
    limited_searches: tuple[Search, ...] = ()

    def prepare() -> None:
        nonlocal searches, limited_searches
        searches = tuple(compiled(pattern, flags).search for pattern, flags in patterns)
        limited_searches = tuple(map(limited, searches))

    if any(_NOT_EVERYWHERE.search(pattern) for pattern, _flag_letters in patterns):
        prepare()

    def found(text: str) -> bool:
        if not searches:
            prepare()
        for search in searches if len(text) <= SHORT else limited_searches:  # noqa: SIM110 - as above
            if search(text):
                return True
        return False

    return found


# What one Python takes and another does not, or may not: possessive repeats, groups and flags other than the usual
# ones, and rare escapes. What it takes too many for is only compiled early.
_NOT_EVERYWHERE = re.compile(r"[*+?}]\+|(?<!^)\(\?[a-zA-Z]|\(\?(?![:=!<i])|\(\?<[^=!]|\\[^\W_bBdDsSwWAZnrtx]")


# A pattern that begins with the beginning, or one of some characters.
_AFTER = re.compile(r"\(\?:\^\|\[(\^?)((?!\^)(?:[^\]\\[]|\\.)+)\]\)(?![*+?{])")


def _quick(pattern: str, flags: str) -> str:
    """Return a pattern that is found in the same texts.

    What begins with one of two things is looked for at each character; what comes after something is looked for by how
    it begins.
    """
    after = None if "m" in flags else _AFTER.match(pattern)
    if after is None:
        return pattern
    negated, characters = after.groups()
    return "(?<![%s%s])%s" % ("" if negated else "^", characters, pattern[after.end() :])


def _flags(letters: str) -> int:
    flags = 0
    for letter in letters:
        flags |= _FLAGS[letter]
    return flags


def _number(field: str, operator: str, number: float) -> Condition:
    compare = _COMPARISONS[operator]

    def passes(text: str) -> bool:
        try:
            return compare(float(text), number)
        except ValueError:  # no number, so neither more nor less
            return False

    return _one_of(field, passes)


_COMPARISONS: dict[str, t.Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _network(field: str, cidrs: t.Sequence[str]) -> Condition:
    networks = tuple(ipaddress.ip_network(cidr) for cidr in cidrs)

    def inside(text: str) -> bool:
        address = address_of(text)
        return address is not None and any(address in network for network in networks)

    return _one_of(field, inside)


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is, an IPv4 address for one that IPv6 only wraps; None for what is no address."""
    try:
        address = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _exists(field: str) -> Condition:
    return lambda values: values.view.get(field) is not None


def _null(field: str) -> Condition:
    return lambda values: values.view.get(field) in (None, "", [], ())


def _same(field: str, other: str, test: str) -> Condition:
    compare = _PAIRS[test]
    return lambda values: any(compare(a, b) for a in _each(values.lower[field]) for b in _each(values.lower[other]))


_PAIRS: dict[str, t.Callable[[str, str], bool]] = {
    "equals": lambda a, b: a == b,
    "contains": lambda a, b: b in a,
    "startswith": lambda a, b: a.startswith(b),
    "endswith": lambda a, b: a.endswith(b),
}


def _words(fields: t.Sequence[str], test: str, wanted: t.Sequence[str]) -> Condition:
    passes = _text_test(test, wanted)
    cased = test.endswith("_cased")

    def check(values: Values) -> bool:
        texts = values if cased else values.lower
        return any(passes(text) for field in fields or values.view for text in _each(texts[field]))

    return check


def _patterns(fields: t.Sequence[str], patterns: t.Sequence[t.Sequence[str]]) -> Condition:
    found = _finding(patterns)
    return lambda values: any(found(text) for field in fields or values.view for text in _each(values[field]))


_BUILDERS: dict[str, t.Callable[..., Condition]] = {
    "and": _and,
    "or": _or,
    "not": _not,
    "text": _text,
    "regex": _regex,
    "number": _number,
    "network": _network,
    "exists": _exists,
    "null": _null,
    "same": _same,
    "words": _words,
    "patterns": _patterns,
}
