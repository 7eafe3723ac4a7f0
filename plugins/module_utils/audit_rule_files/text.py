# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit rules as people write them, in the words of auditctl(8), and as the kernel takes them."""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import re
import shlex
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _syscalls as syscalls
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import (
    ALL_SYSCALLS,
    Field,
    Rule,
    RuleError,
)

_CONDITION = re.compile(r"([a-z0-9_]+)(!=|>=|<=|&=|=|<|>|&)(.*)", re.DOTALL)
# System calls that an older auditctl may not know by name; it takes numbers.
_NAMED_BELOW = 424
_LONGEST_KEY = 256
_LONGEST_PATH = 4096


@dataclasses.dataclass(frozen=True)
class Host:
    """What a rule means depends on the host. machine: its architecture, one of ``words.ARCHITECTURES``."""

    machine: str
    is_directory: t.Callable[[str], bool] = os.path.isdir
    user: t.Callable[[str], int | None] = lambda name: _found(lambda: pwd.getpwnam(name).pw_uid)
    group: t.Callable[[str], int | None] = lambda name: _found(lambda: grp.getgrnam(name).gr_gid)


def _found(look: t.Callable[[], int]) -> int | None:
    try:
        return look()
    except KeyError:
        return None


@dataclasses.dataclass
class Parts:
    """The words of a rule, before they are understood."""

    place: str | None = None
    watch: str | None = None
    permissions: str | None = None
    syscalls: list[str] = dataclasses.field(default_factory=list)
    conditions: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    keys: list[str] = dataclasses.field(default_factory=list)

    def has(self, *names: str) -> bool:
        return any(name in names for name, _operator, _value in self.conditions)


def split(line: str) -> Parts:
    """Return the words of one rule; RuleError when it is none."""
    try:
        tokens = shlex.split(line)
    except ValueError as error:
        raise RuleError("rule '%s': %s" % (line, error)) from None
    parts = Parts()
    position = 0
    while position < len(tokens):
        option = tokens[position]
        if option not in _OPTIONS:
            raise RuleError(
                "rule '%s': '%s' is not a part of a rule; a rule is made of -a, -w, -p, -k, -S, -F and -C"
                % (line, option)
            )
        if position + 1 == len(tokens):
            raise RuleError("rule '%s': a value is missing after %s" % (line, option))
        try:
            _OPTIONS[option](parts, tokens[position + 1])
        except ValueError as error:
            raise RuleError("rule '%s': %s" % (line, error)) from None
        position += 2
    if (parts.place is None) == (parts.watch is None):
        raise RuleError("rule '%s': it needs either -a LIST,ACTION or -w PATH" % line)
    return parts


def _take_list(parts: Parts, value: str) -> None:
    parts.place = value


def _take_watch(parts: Parts, value: str) -> None:
    parts.watch = value


def _take_permissions(parts: Parts, value: str) -> None:
    parts.permissions = value


def _take_condition(parts: Parts, value: str) -> None:
    match = _CONDITION.fullmatch(value)
    if match is None:
        raise ValueError("'%s' is not a condition; write FIELD=VALUE" % value)
    name, operator, operand = match.groups()
    if name == "key":
        parts.keys.append(operand)
    else:
        parts.conditions.append((name, operator, operand))


def _take_comparison(parts: Parts, value: str) -> None:
    match = _CONDITION.fullmatch(value)
    if match is None or match.group(2) not in ("=", "!="):
        raise ValueError("'%s' compares no two fields; write FIELD=FIELD or FIELD!=FIELD" % value)
    parts.conditions.append(("-C", match.group(2), "%s %s" % (match.group(1), match.group(3))))


_OPTIONS: dict[str, t.Callable[[Parts, str], None]] = {
    "-a": _take_list,
    "-w": _take_watch,
    "-p": _take_permissions,
    "-k": lambda parts, value: parts.keys.append(value),
    "-S": lambda parts, value: parts.syscalls.extend(value.split(",")),
    "-F": _take_condition,
    "-C": _take_comparison,
}


def parse(line: str, host: Host) -> Rule:
    """Return the rule that a line means on a host; RuleError with the line and what is wrong with it."""
    return build(split(line), host, line)


def build(parts: Parts, host: Host, line: str) -> Rule:
    """Return the rule of these words; line: to name it in an error."""
    try:
        return _watch(parts, host) if parts.watch is not None else _filter(parts, host)
    except (ValueError, RuleError) as error:
        raise RuleError("rule '%s': %s" % (line, error)) from None


def _filter(parts: Parts, host: Host) -> Rule:
    rule_filter, action = _list_and_action(t.cast("str", parts.place))
    if parts.permissions is not None:
        raise ValueError("-p belongs to -w; write -F perm=%s" % parts.permissions)
    if parts.syscalls and rule_filter not in (words.EXIT, words.IO_URING):
        raise ValueError("-S belongs to the list exit; leave it out")
    fields, machine = [], host.machine
    for name, operator, operand in parts.conditions:
        field = _comparison(operator, operand) if name == "-C" else _field(name, operator, operand, host)
        if field.number == words.ARCH:
            machine = words.ARCHITECTURE_NAMES[t.cast("int", field.value)]
        fields.append(field)
    return Rule(rule_filter, action, _mask(parts.syscalls, machine), (*fields, *_key(parts.keys)))


def _list_and_action(text: str) -> tuple[int, int]:
    one, comma, two = text.partition(",")
    for name, action in ((one, two), (two, one)):
        if comma and name in words.FILTERS and action in words.ACTIONS:
            return words.FILTERS[name], words.ACTIONS[action]
    raise ValueError("-a %s must be a list (%s) and an action (always, never)" % (text, ", ".join(words.FILTERS)))


def _watch(parts: Parts, host: Host) -> Rule:
    path = t.cast("str", parts.watch)
    if parts.syscalls or parts.conditions:
        raise ValueError("-w takes -p and -k only; write -a always,exit -F path=%s" % path)
    is_directory = path.endswith("/") or host.is_directory(path)
    field = _field("dir" if is_directory else "path", "=", path.rstrip("/") or "/", host)
    permissions = words.number(words.PERM, parts.permissions or "rwxa", host.user, host.group)
    fields = (field, Field(words.PERM, words.EQUAL, permissions), *_key(parts.keys))
    return Rule(words.EXIT, words.ALWAYS, ALL_SYSCALLS, fields)


def _field(name: str, operator: str, operand: str, host: Host) -> Field:
    number = words.FIELDS.get(name)
    if number is None:
        raise ValueError("'%s' is not a field of audit rules" % name)
    value: int | bytes
    if number in words.TEXTS:
        if operator not in ("=", "!="):
            raise ValueError("%s can only be compared with = and !=" % name)
        value = _text(name, number, operand)
    elif number == words.ARCH:
        value = words.ARCHITECTURES[words.architecture(operand, host.machine)]
    else:
        value = words.number(number, operand, host.user, host.group)
    return Field(number, words.OPERATORS[operator], value)


def _text(name: str, number: int, operand: str) -> bytes:
    value = os.fsencode(operand)
    if not value or len(value) >= _LONGEST_PATH or b"\0" in value:
        raise ValueError("%s is empty or too long" % name)
    if number in (words.WATCH, words.DIR, words.EXE) and (value[:1] != b"/" or b"/../" in value + b"/"):
        raise ValueError("%s '%s' must be an absolute path without .." % (name, operand))
    return value


def _comparison(operator: str, operand: str) -> Field:
    pair = t.cast("tuple[str, str]", tuple(sorted(operand.split(" "))))
    if pair not in words.COMPARISONS:
        raise ValueError("%s and %s cannot be compared" % pair)
    return Field(words.COMPARE, words.OPERATORS[operator], words.COMPARISONS[pair])


def _key(keys: t.Sequence[str]) -> tuple[Field, ...]:
    if not keys:
        return ()
    value = b"\x01".join(os.fsencode(key) for key in keys)
    if not all(keys) or len(value) > _LONGEST_KEY:
        raise ValueError("a key has 1 to %d characters" % _LONGEST_KEY)
    return (Field(words.KEY, words.EQUAL, value),)


def _mask(names: t.Sequence[str], machine: str) -> int:
    if not names or "all" in names:
        return ALL_SYSCALLS
    known = syscalls.numbers(machine)
    mask = 0
    for name in names:
        number = int(name) if name.isdigit() else known.get(name)
        if number is None or number >= ALL_SYSCALLS.bit_length():
            raise ValueError("there is no system call '%s' on %s" % (name, machine))
        mask |= 1 << number
    return mask


def show(rule: Rule, machine: str) -> str:
    """Return a rule as a line that auditctl takes. machine: the host's architecture, where the rule has none."""
    tokens = ["-a", "%s,%s" % (_name(words.ACTIONS, rule.action), _name(words.FILTERS, rule.filter))]
    own = machine
    conditions: list[list[str]] = []
    keys: list[str] = []
    for field in rule.fields:
        if field.number == words.ARCH and isinstance(field.value, int):
            own = words.ARCHITECTURE_NAMES.get(field.value, machine)
        if field.number == words.KEY and isinstance(field.value, bytes):
            keys += [word for key in field.value.split(b"\x01") for word in ("-F", "key=%s" % os.fsdecode(key))]
        else:
            conditions.append(_condition(field, machine))
    # auditctl reads the names of system calls by the architecture that it has read before them.
    first = [condition for condition in conditions if condition[1].startswith("arch")]
    others = [condition for condition in conditions if not condition[1].startswith("arch")]
    called = ["-S", _calls(rule.mask, own)] if rule.filter == words.EXIT and rule.mask != ALL_SYSCALLS else []
    for pair in (*first, called, *others, keys):
        tokens += pair
    # auditctl knows no other way to write a space, and takes quotes for a part of the word.
    return " ".join(token.replace(" ", "\\ ") for token in tokens)


def _condition(field: Field, machine: str) -> list[str]:
    operator = _name(words.OPERATORS, field.operator)
    if field.number == words.COMPARE:
        one, two = next((pair for pair, number in words.COMPARISONS.items() if number == field.value), ("?", "?"))
        return ["-C", "%s%s%s" % (one, operator, two)]
    name = words.FIELD_NAMES.get(field.number, "f%d" % field.number)
    return ["-F", "%s%s%s" % (name, operator, _operand(field, machine))]


def _operand(field: Field, machine: str) -> str:
    value = field.value
    if isinstance(value, bytes):
        return os.fsdecode(value)
    if field.number == words.ARCH:
        return _architecture(value, machine)
    if field.number == words.PERM:
        return "".join(letter for letter in "rwxa" if value & words.PERMISSIONS[letter])
    if field.number == words.MSGTYPE:
        return words.MESSAGE_NAMES.get(value, str(value))
    if field.number == words.LOGINUID and value == words.UNSET:
        return "unset"
    if field.number == words.EXIT_CODE and value >= 0x80000000:
        return str(value - 0x100000000)
    if field.number in (words.FILETYPE, words.FSTYPE):
        return _name(words.FILE_TYPES if field.number == words.FILETYPE else words.FILE_SYSTEMS, value)
    return hex(value) if 200 <= field.number <= 203 else str(value)


def _architecture(value: int, machine: str) -> str:
    if value == words.ARCHITECTURES[machine]:
        return "b64" if value >= 0x80000000 else "b32"
    if words.ARCHITECTURE_NAMES.get(value) in words.both(machine):
        return "b32"
    return words.ARCHITECTURE_NAMES.get(value, hex(value))


def _calls(mask: int, machine: str) -> str:
    known = syscalls.names(machine)
    numbers = [number for number in range(mask.bit_length()) if mask >> number & 1]
    return ",".join(known[number] if number < _NAMED_BELOW and number in known else str(number) for number in numbers)


def _name(table: t.Mapping[str, int], number: int) -> str:
    return next((name for name, value in table.items() if value == number), str(number))
