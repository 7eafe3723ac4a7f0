# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of system calls whose records are not as the kernel writes them: values in quotes, fields in another order.

Only what can be told for sure is rewritten. Where text is left over between the fields, or a number is none, the event
is not understood.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import architectures

_LINE = re.compile(rb"(type=(\S+) msg=audit\([\d.:]+\):?) ?(.*)\Z", re.DOTALL)
_FIELD = re.compile(rb"[ ,]*([A-Za-z0-9_-]{1,64}(?:\[\d{1,9}\])?)=(\"[^\"\n]*\"|'[^'\n]*'|[^\s,\"']*)(?=[ ,\n]|\Z)")
_HEX = re.compile(rb"(?:0x)?([0-9a-fA-F]{1,16})\Z")
# The kernel writes these in quotes; what is in them is chosen by whoever is recorded.
_TEXTS = frozenset(b"acct cmd comm cwd exe key name ocomm path proctitle vm".split())
_ARGUMENT = re.compile(rb"a\d{1,9}(?:\[\d{1,9}\])?\Z")
_IDS = tuple(b"auid uid gid euid suid fsuid egid sgid fsgid".split())
_UNSET = (b"unset", b"-1")
_CALL = b"type=SYSCALL "

Fields = t.List[t.Tuple[bytes, bytes]]


def has_call(raw: bytes) -> bool:
    """Return whether an event has a record of a system call."""
    return raw.startswith(_CALL) or b"\n" + _CALL in raw


def call_line(raw: bytes) -> bytes:
    """Return the line of an event's system call."""
    start = 0 if raw.startswith(_CALL) else raw.find(b"\n" + _CALL) + 1
    return raw[start : raw.find(b"\n", start)]


def rewritten(raw: bytes) -> bytes | None:
    """Return an event's lines as the kernel writes them; None where that can't be told for sure."""
    lines = []
    for line in raw.split(b"\n"):
        parsed = _LINE.match(line)
        if parsed is None:
            continue
        head, kind, body = parsed.groups()
        kernel, separator, enriched = body.partition(b"\x1d")
        fields = _fields(kernel, kind)
        if fields is None:
            return None
        text = _call(dict(reversed(fields))) if kind == b"SYSCALL" else b" ".join(b"%s=%s" % field for field in fields)
        if text is None:
            return None
        lines.append(head + b" " + text + separator + enriched + b"\n")
    return b"".join(lines)


def _fields(body: bytes, kind: bytes) -> Fields | None:
    """Return the fields of a record, without quotes that the kernel doesn't write; None where there is more in it."""
    fields: Fields = []
    position = 0
    while position < len(body):
        field = _FIELD.match(body, position)
        if field is None:
            return fields if not body[position:].strip(b" ,") else None
        name, value = field.groups()
        quoted = value[:1] in (b'"', b"'") and len(value) > 1
        if quoted and not (name in _TEXTS or (kind == b"EXECVE" and _ARGUMENT.match(name))):
            value = value[1:-1]
            if b" " in value:
                return None
        elif quoted and value[:1] == b"'":
            value = b'"%s"' % value[1:-1]
        elif not value and name in _TEXTS:
            value = b'""'
        fields.append((name, value))
        position = field.end()
    return fields


def _call(fields: t.Mapping[bytes, bytes]) -> bytes | None:
    """Return the body of a SYSCALL record in the kernel's order; None where one of its fields is missing or unknown."""
    architecture = _architecture(fields.get(b"arch", b""))
    if architecture is None:
        return None
    number: bytes | None = fields.get(b"syscall", b"")
    if number is not None and not number.isdigit():
        number = architectures.call_number(architecture, number.decode("ascii", "replace"))
    arguments = [_HEX.match(fields.get(b"a%d" % place, b"0")) for place in range(4)]
    ids = [(name, b"4294967295" if fields[name] in _UNSET else fields[name]) for name in _IDS if name in fields]
    pids = [(name, fields[name]) for name in (b"ppid", b"pid") if name in fields]
    present = fields.keys() >= {b"pid", b"auid", b"uid", b"comm", b"exe"}
    if not present or number is None or None in arguments:
        return None
    if not all(value.isdigit() for _name, value in (*ids, *pids)):
        return None
    parts = [b"arch=%s syscall=%s" % (architecture, number)]
    if b"success" in fields:
        parts.append(b"success=%s exit=%s" % (fields[b"success"], fields.get(b"exit", b"0")))
    parts += [b"a%d=%s" % (place, each.group(1)) for place, each in enumerate(arguments) if each is not None]
    items = fields.get(b"items", b"0")
    parts.append(b"items=%s" % (items if items.isdigit() else b"0"))
    named = [*pids, *ids, *((name, fields[name]) for name in (b"tty", b"ses") if name in fields)]
    parts += [b"%s=%s" % each for each in named]
    parts += [b"%s=%s" % (name, fields[name]) for name in (b"comm", b"exe", b"subj", b"key") if name in fields]
    return b" ".join(parts)


def _architecture(value: bytes) -> bytes | None:
    """Return the number of an architecture as the kernel writes it, from a number in any notation or a name."""
    number = architectures.number_of(value.decode("ascii", "replace"))
    if number is not None:
        return number
    digits = _HEX.match(value)
    return digits.group(1).lower().lstrip(b"0") or b"0" if digits else None
