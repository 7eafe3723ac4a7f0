# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One audit rule as the kernel takes and returns it: struct audit_rule_data of linux/audit.h."""

from __future__ import annotations

import dataclasses
import struct

from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import words

_WORDS = 64
_MAX_FIELDS = 64
_HEAD = struct.Struct("=%dI" % (3 + _WORDS + 3 * _MAX_FIELDS + 1))
# The last half word stands for classes of system calls, which the kernel resolves.
_CLASSES = 16
ALL_SYSCALLS = (1 << (32 * _WORDS - _CLASSES)) - 1
_KEY_SEPARATOR = b"\x01"


class RuleError(Exception):
    """A rule can't be read or written; the message is one sentence that says what to do."""


@dataclasses.dataclass(frozen=True)
class Field:
    """One condition: field and operator by the kernel's numbers, and a value that is a number or, for text, bytes."""

    number: int
    operator: int
    value: int | bytes


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule. mask: the system calls as a set of bits; ``ALL_SYSCALLS`` where it isn't about certain ones."""

    filter: int
    action: int
    mask: int
    fields: tuple[Field, ...]

    def pack(self) -> bytes:
        """Return the kernel's form, without padding at its end."""
        numbers, values, operators = [0] * _MAX_FIELDS, [0] * _MAX_FIELDS, [0] * _MAX_FIELDS
        buffer = b""
        if len(self.fields) > _MAX_FIELDS:
            raise RuleError("a rule can have %d fields; split it" % _MAX_FIELDS)
        for position, field in enumerate(self.fields):
            numbers[position], operators[position] = field.number, field.operator
            if isinstance(field.value, bytes):
                values[position] = len(field.value)
                buffer += field.value
            else:
                values[position] = field.value
        mask = [(self.mask >> (32 * word)) & 0xFFFFFFFF for word in range(_WORDS)]
        head = [self.filter, self.action, len(self.fields), *mask, *numbers, *values, *operators, len(buffer)]
        return _HEAD.pack(*head) + buffer

    @property
    def keys(self) -> list[str]:
        """Return the rule's keys, which its events carry."""
        return [
            key.decode("utf-8", "backslashreplace")
            for field in self.fields
            if field.number == words.KEY and isinstance(field.value, bytes)
            for key in field.value.split(_KEY_SEPARATOR)
        ]

    def value(self, number: int) -> int | bytes | None:
        """Return the value of the first field of this number, None when there is none."""
        return next((field.value for field in self.fields if field.number == number), None)


def unpack(data: bytes) -> Rule:
    """Return the rule that the kernel shows; RuleError when it is cut off."""
    if len(data) < _HEAD.size:
        raise RuleError("the kernel's list holds a rule that is cut off; nothing can be compared")
    head = _HEAD.unpack_from(data)
    flags, action, count = head[:3]
    mask = sum(word << (32 * position) for position, word in enumerate(head[3 : 3 + _WORDS]))
    start = 3 + _WORDS
    numbers, values, operators = (
        head[start + part * _MAX_FIELDS : start + part * _MAX_FIELDS + count] for part in range(3)
    )
    buffer, position = data[_HEAD.size : _HEAD.size + head[-1]], 0
    fields = []
    for number, value, operator in zip(numbers, values, operators):
        if number in words.TEXTS:
            fields.append(Field(number, operator, buffer[position : position + value]))
            position += value
        else:
            fields.append(Field(number, operator, value))
    return Rule(flags & 0x0F, action, mask, tuple(fields))
