# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values in audit records: quoted, hexadecimal or plain, and the encoded ones among them.

Bytes that are no UTF-8 are kept as lone surrogates (``surrogateescape``), so that every text can be turned back.
"""

from __future__ import annotations

import binascii
import errno
import ipaddress
import re
import typing as t

# Of the kernel's fields, those that audit_log_untrustedstring() writes: in quotes or, where there is a blank, a quote
# or what isn't ASCII in them, in hexadecimal. Others that look like hexadecimal are numbers.
_ENCODED = frozenset(
    b"acct apparmor cmd comm cwd data device dir exe file grp invalid_context key laddr name new-chardev new-disk"
    b" new-net new-fs new-rng new_group ocomm old-chardev old-disk old-fs old-net old-rng old_group path proctitle"
    b" profile sw vm watch banners".split()
)
_FIELD = re.compile(
    # What begins in the middle of a word is not looked at: a long one would be searched anew at each character.
    rb"(?<![A-Za-z0-9_\-\[\]])([A-Za-z0-9_\-\[\]]+)="
    rb"(\"[^\"]*\"?|'[^']*'?|\{[^}]*\}?|[^ ,\x1d]*(?:,[^ =\x1d]+(?=[ ,\x1d]|$))*)"
)
_HEX = re.compile(rb"(?:[0-9A-F]{2})+\Z")
_ARGUMENT = re.compile(rb"a(\d{1,9})(?:\[(\d{1,9})\])?=(\"[^\"]*\"|[0-9A-F]*|\S*)")

UNSET_ID = "4294967295"
# Of the message of a user-space program; the rest is the kernel's or the audit library's.
_MESSAGE = re.compile(rb" ?\bmsg='(.*?)'?\s*\Z", re.DOTALL)
# SELinux says what it decided in words: avc:  denied  { read write } for  pid=1 ...
_ACCESS = re.compile(rb"avc: +(granted|denied) +\{ ([^}]*?) *\}")
# Kernels before 3.13 wrote the names of LOGIN's fields with a blank in them.
_OLD_LOGIN = re.compile(rb"\b(old|new) (auid|ses)=")
_FAMILIES = {1: "unix", 2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 31: "bluetooth", 38: "alg", 40: "vsock"}


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def unquoted(raw: bytes) -> bytes:
    """Return the bytes of a value that the kernel encodes: quoted, hexadecimal, or ``(null)``, which is empty."""
    if raw[:1] == b'"':
        return raw[1:-1] if raw[-1:] == b'"' and len(raw) > 1 else raw[1:]
    if _HEX.match(raw):
        return binascii.unhexlify(raw)
    return b"" if raw == b"(null)" else raw


def body_fields(body: bytes, of_program: bool = True) -> dict[str, str]:
    """Return the fields of a record, decoded, in their order; the enriched ones (after the separator) too.

    Fields of the message of a user-space program are among them, the first of a name counts: a program that writes
    ``auid=`` into its own message doesn't change the kernel's. of_program: whether the record may have such a message;
    in one of the kernel's, what looks like the beginning of one is part of a file's name.
    """
    kernel, _separator, enriched = body.partition(b"\x1d")
    found: dict[str, str] = {}
    if kernel.startswith(b"avc:"):
        said = _ACCESS.match(kernel)
        if said:
            found = {"seresult": text(said.group(1)), "seperms": text(said.group(2)).replace(" ", ",")}
    elif kernel.startswith(b"login "):
        kernel = _OLD_LOGIN.sub(rb"\1_\2=", kernel)
    message = _MESSAGE.search(kernel) if of_program else None
    parts = [kernel] if message is None else [kernel[: message.start()], message.group(1)]
    for part in [*parts, enriched]:
        for name, value in _FIELD.findall(part):
            key = name.decode("ascii")
            if key not in found:
                found[key] = value_text(name, value)
    return found


def is_encoded(name: str) -> bool:
    """Return whether a field may be in hexadecimal."""
    return name.encode("utf-8") in _ENCODED


def value_text(name: bytes, value: bytes) -> str:
    if value[:1] in (b'"', b"'"):
        quote = value[:1]
        return text(value[1:-1] if len(value) > 1 and value[-1:] == quote else value[1:])
    if name in _ENCODED and _HEX.match(value):
        return text(binascii.unhexlify(value))
    if value[-1:] == b")" and b"(" not in value:
        # Programs of old put brackets around a part of what they say: (hostname=?, addr=?, terminal=cron res=success)
        return text(value[:-1])
    return text(value)


def arguments(bodies: t.Sequence[bytes], most: int) -> tuple[str, ...]:
    """Return the arguments in EXECVE records; those that are split over several are joined. At most so many bytes."""
    if len(bodies) == 1 and len(bodies[0]) <= most:
        quoted = quoted_arguments(bodies[0])
        if quoted is not None:
            return tuple(text(b"\0".join(quoted)).split("\0"))
        simple = _whole_arguments(bodies[0])
        if simple is not None:
            return simple
    whole: dict[int, bytes] = {}
    pieces: dict[int, dict[int, bytes]] = {}
    room = most
    for body in bodies:
        for number, piece, value in _ARGUMENT.findall(body):
            room -= len(value)
            if room < 0:
                break
            if piece:
                pieces.setdefault(int(number), {})[int(piece)] = value
            else:
                whole[int(number)] = unquoted(value)
    for number, parts in pieces.items():
        # Each piece is quoted or hexadecimal as a whole: hexadecimal may not end within a piece, bytes of a
        # character may.
        whole[number] = b"".join(unquoted(parts[piece]) for piece in sorted(parts))
    return tuple(text(whole[number]) for number in sorted(whole))


def quoted_arguments(body: bytes) -> list[bytes] | None:
    """Return the arguments of an EXECVE record in which all are in quotes, None for another: most are, and it is quick.

    There is no quote in what is quoted, and no blank: the kernel writes those in hexadecimal.
    """
    parts = body.split(b'"')
    count = len(parts) // 2
    if parts[-1] or body.count(b" ") != count or parts[0] != b"argc=%d a0=" % count:
        return None
    return parts[1::2]


def _whole_arguments(body: bytes) -> tuple[str, ...] | None:
    """Return the arguments of an EXECVE record that has all of them and none in pieces, None for another."""
    words = body.split(b" ")
    if words[0] != b"argc=%d" % (len(words) - 1):
        return None
    found = []
    for number, word in enumerate(words[1:]):
        name, _equals, value = word.partition(b"=")
        if name != b"a%d" % number:
            return None
        if value[:1] == b'"' and value.find(b'"', 1) == len(value) - 1:
            found.append(value[1:-1].decode("utf-8", "surrogateescape"))
        elif _HEX.match(value):
            found.append(binascii.unhexlify(value).decode("utf-8", "surrogateescape"))
        else:
            return None
    return tuple(found)


def title_arguments(value: bytes) -> list[str]:
    """Return the arguments in a PROCTITLE record's value: the first 128 bytes of the command line."""
    return [text(part) for part in unquoted(value).rstrip(b"\0").split(b"\0")]


def address(value: bytes) -> dict[str, str]:
    """Return what a SOCKADDR record's hexadecimal says: ``family`` and, as it has them, ``ip``, ``port``, ``path``."""
    try:
        raw = binascii.unhexlify(value)
    except (ValueError, binascii.Error):
        return {}
    if len(raw) < 2:
        return {}
    # The family is in the byte order of the machine that wrote it, and is less than 256.
    family = raw[0] or raw[1]
    found = {"family": _FAMILIES.get(family, str(family))}
    if family == 2 and len(raw) >= 8:
        found["port"] = str(int.from_bytes(raw[2:4], "big"))
        found["ip"] = str(ipaddress.IPv4Address(raw[4:8]))
    elif family == 10 and len(raw) >= 24:
        found["port"] = str(int.from_bytes(raw[2:4], "big"))
        ip = ipaddress.IPv6Address(raw[8:24])
        # An IPv4 peer of a socket for both; rules know it as that.
        found["ip"] = str(ip.ipv4_mapped or ip)
    elif family == 1:
        path = raw[2:]
        found["path"] = "@" + text(path[1:].split(b"\0")[0]) if path[:1] == b"\0" else text(path.split(b"\0")[0])
    return found


def exit_name(value: str) -> str:
    """Return a system call's exit as the name of the error where it is one: ``-13`` is ``EACCES``."""
    if value.startswith("-") and value[1:].isdigit() and len(value) < 8:
        return errno.errorcode.get(int(value[1:]), value)
    return value
