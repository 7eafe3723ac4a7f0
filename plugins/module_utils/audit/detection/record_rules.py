# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules that are written for records of a log may match a record of a kind at all.

Most of them name the kind. And the kernel's records have fixed fields: a rule that asks for others says the same of
each record of the kind.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS, fields_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.index import Lookup

Numbers = t.FrozenSet[int]

# What a kernel's record can have beside its type, by kind; the enriched ones in capitals.
FIELDS: t.Mapping[bytes, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        b"CWD": "cwd",
        b"PROCTITLE": "proctitle",
        b"PATH": (
            "name dev mode ouid ogid rdev obj nametype objtype OUID OGID cap_fp cap_fi cap_fe cap_fver cap_frootid"
        ),
        b"SOCKADDR": "saddr SADDR saddr_fam laddr lport path nlnk-fam nlnk-pid",
        b"BPRM_FCAPS": ("fver fp fi fe old_pp old_pi old_pe old_pa pp pi pe pa frootid new_pp new_pi new_pe new_pa"),
        b"OBJ_PID": "opid oauid ouid oses obj ocomm OAUID OUID",
        b"FD_PAIR": "fd0 fd1",
        b"MMAP": "fd flags",
        b"CAPSET": "cap_pi cap_pp cap_pe cap_pa",
    }.items()
}


class RecordRules:
    """The rules of the source ``auditd``, by the kind of record."""

    def __init__(self, rules: RuleSet, compiled: t.Mapping[str, t.Any]) -> None:
        self._engine = rules
        self._rules = [
            (number, _kinds(entry["condition"]), fields_of(entry["condition"]))
            for number, entry in enumerate(compiled["rules"])
            if entry["source"] == "auditd"
        ]
        self._relevant: dict[bytes, Numbers] = {}
        self._names: dict[bytes, tuple[str, ...]] = {}
        self._constant: dict[bytes, Numbers] = {}

    def relevant(self, kind: bytes) -> Numbers:
        """Return the rules for which it matters what a record of a kind holds."""
        found = self._relevant.get(kind)
        if found is None:
            has = FIELDS.get(kind)
            found = self._relevant[kind] = frozenset(
                number
                for number, kinds, fields in self._rules
                if _may_be(kind, kinds) and (has is None or ALL_FIELDS in fields or fields & has)
            )
        return found

    def constant(self, kind: bytes) -> Numbers:
        """Return the rules that match every record of a kind, whatever it holds."""
        found = self._constant.get(kind)
        if found is None:
            name = kind.decode("ascii", "replace")
            numbers = {number for number, kinds, _fields in self._rules if _may_be(kind, kinds)} - self.relevant(kind)
            found = self._constant[kind] = frozenset(self._engine.try_rules(numbers, {"type": name}))
        return found

    def names(self, kind: bytes) -> tuple[str, ...]:
        """Return the fields that say which rules have to be tried with a record of a kind."""
        found = self._names.get(kind)
        if found is None:
            has = FIELDS.get(kind)
            names = self._engine.indexed("auditd")
            found = self._names[kind] = tuple(name for name in names if has is None or name in has or name == "type")
        return found

    def ignores(self, kind: bytes) -> bool:
        """Return whether no rule ever matches a record of a kind."""
        return not self.relevant(kind) and not self.constant(kind)


def _may_be(kind: bytes, kinds: frozenset[str] | None) -> bool:
    return kinds is None or kind.decode("ascii", "replace").lower() in kinds


def _kinds(node: t.Sequence[t.Any]) -> frozenset[str] | None:
    """Return the kinds of records that a condition can be true for, in lower case; None for any."""
    if node[0] == "text" and node[1] == "type" and node[2] in ("equals", "equals_cased"):
        return frozenset(value.lower() for value in node[3])
    if node[0] == "and":
        named = [kinds for kinds in map(_kinds, node[1]) if kinds is not None]
        return frozenset.intersection(*named) if named else None
    if node[0] == "or":
        parts = [_kinds(part) for part in node[1]]
        return None if None in parts else frozenset().union(*(part for part in parts if part is not None))
    return None


def is_of_arguments(kind: str, texts: t.Iterable[t.Any]) -> bool:
    """Return whether an EXECVE record's type is one of the texts that a rule needs it to have; see ``sieve``."""
    if kind not in ("gram", "part"):
        return "execve" in texts
    return any((text if isinstance(text, str) else text[1]) in "execve" for text in texts)


def is_argument(field: str) -> bool:
    """Return whether a field of an EXECVE record is one of the arguments."""
    return field[:1] == "a" and field[1:].isdigit()


class ArgumentIndex:
    """Which rules for EXECVE records have to be tried because of the arguments.

    What rules look for somewhere in one argument is looked for in the whole command line at once: that is quicker than
    for each argument and each place, and misses none.
    """

    def __init__(self, compiled: t.Mapping[str, t.Any]) -> None:
        self._always: set[int] = set()
        self._anywhere = Lookup()
        self._equals: dict[tuple[int, str], set[int]] = {}
        self._bases: dict[tuple[int, str], set[int]] = {}
        self._places = 0
        for number, entry in enumerate(compiled["rules"]):
            if entry["source"] != "auditd":
                continue
            if entry.get("prefilter") is None:
                self._always.add(number)
            for kind, name, texts in entry.get("prefilter") or ():
                if name == "type" and is_of_arguments(kind, texts):
                    self._always.add(number)
                for text in texts:
                    self._add(kind, name, text, number)
        self._anywhere.seal()

    def _add(self, kind: str, name: str, text: str, number: int) -> None:
        if kind in ("gram", "part") and (is_argument(name) or name == ALL_FIELDS):
            self._anywhere.add(kind, text, number)
        elif is_argument(name):
            place = int(name[1:])
            self._places = max(self._places, place + 1)
            table = self._equals if kind == "equals" else self._bases
            table.setdefault((place, text), set()).add(number)

    def candidates(self, argv: t.Sequence[str], command_line: str) -> set[int]:
        """Return the rules to try for arguments. command_line: they, with blanks between."""
        found = self._always | self._anywhere.candidates(command_line.lower())
        for place, argument in enumerate(argv[: self._places]):
            text = argument.lower()
            found |= self._equals.get((place, text), _NONE)
            found |= self._bases.get((place, text[text.rfind("/") + 1 :]), _NONE)
        return found


_NONE: frozenset[int] = frozenset()
