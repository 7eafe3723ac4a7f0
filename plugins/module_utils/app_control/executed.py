# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decode which files an audit event of an execution names: the program, and for a script the script.

The kernel writes ``exe=``, the program that runs now, and a PATH record for each file that it opened on the way: item 0
is what was executed, and where that is a script, item 1 is its interpreter. These records have device and inode, so a
file that lies there later can be told from the one that ran.
"""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, architectures, decode

DELETED = b" (deleted)"
_MEMORY = b"/memfd:"
# Files that are named by a descriptor, as fexecve(3) does.
_DESCRIPTOR = re.compile(rb"(?:/proc/(?:self|thread-self|\d+)(?:/task/\d+)?/fd|/dev/fd)/(\d+)(?:/.*)?", re.DOTALL)
_PATH = re.compile(
    rb"\n(?:node=\S+ )?type=PATH msg=\S+ +item=(\d{1,9}) name=(\"[^\"\n]*\"|[^\s\x1d]+)"
    rb"(?: inode=(\d{1,20}) dev=([0-9a-f]{1,8}):([0-9a-f]{1,8}) (?:mode=[0-7]{1,12} ouid=(\d{1,10}) )?)?"
)
_MOST_ITEMS = 8
_MOST_BYTES = 1 << 20
_SCRIPT_ITEMS = 3
_CALLS = ("execve", "execveat")
# ENOEXEC, as the kernel writes the result of a call.
UNKNOWN_FORMAT = b"-8"

# Device as (major, minor), and inode.
FileId = t.Tuple[int, int, int]


class Item(t.NamedTuple):
    """A file that was opened for an execution. name: as it was given. path: absolute, b"" where that is unknown.

    owner: the number of its account, None where it is unknown.
    """

    name: bytes
    path: bytes
    id: FileId | None
    owner: int | None = None


class Executed(t.NamedTuple):
    """An execution. exe: the path of the program, b"" where the record does not name it.

    account: of the login, or of the process where nobody signed in. terminal: b"" for none. cwd: b"" where it is
    unknown.
    """

    exe: bytes
    account: bytes
    terminal: bytes
    cwd: bytes
    items: tuple[Item, ...]

    @property
    def is_memory(self) -> bool:
        """Return whether the program is a file in memory (memfd_create(2))."""
        return self.exe.startswith(_MEMORY) and self.exe.endswith(DELETED)


def executed(raw: bytes) -> Executed | None:
    """Return what the records of an execution say; None for a call that failed, or records of another form."""
    call = activity.SYSCALL.search(raw)
    if call is None or call.group(activity.SUCCESS + 1) != b"yes":
        return None
    return _facts(call.groups(), raw)


def refused(raw: bytes) -> Executed | None:
    """Return what the records say of a file whose format the kernel does not know; None for all other events.

    Item 0 is the file, and ``exe`` what tried to execute it. A shell then runs the file as a script itself.
    """
    call = activity.SYSCALL.search(raw) if b" exit=%s " % UNKNOWN_FORMAT in raw else None
    if call is None or call.group(activity.EXIT + 1) != UNKNOWN_FORMAT:
        return None
    if architectures.call_name(call.group(activity.ARCH + 1), call.group(activity.NUMBER + 1)) not in _CALLS:
        return None
    facts = _facts(call.groups(), raw)
    return facts if facts.items and facts.items[0].path else None


def attempted(parts: t.Sequence[bytes | None], raw: bytes) -> tuple[Executed, bool]:
    """Return the files of a call, whatever came of it, and whether it is an execution.

    parts: the groups of ``activity.SYSCALL``. ``exe`` is what runs after the call: of one that failed, its caller.
    """
    name = architectures.call_name(parts[activity.ARCH] or b"", parts[activity.NUMBER] or b"")
    return _facts(parts, raw), name in _CALLS


def _facts(parts: t.Sequence[bytes | None], raw: bytes) -> Executed:
    cwd = activity.directory_in(raw).encode("utf-8", "surrogateescape")
    items = {}
    for number, name, inode, major, minor, owner in _PATH.findall(raw):
        plain = decode.unquoted(name)
        identity = (int(major, 16), int(minor, 16), int(inode)) if inode else None
        items[int(number)] = Item(plain, absolute(plain, cwd), identity, int(owner) if owner else None)
        if len(items) >= _MOST_ITEMS:
            break
    account = parts[activity.AUID]
    if account in (None, b"", decode.UNSET_ID.encode(), b"-1"):
        account = parts[activity.UID] or b""
    terminal = parts[activity.TTY] or b""
    return Executed(
        decode.unquoted(parts[activity.EXE] or b""),
        account or b"",
        b"" if terminal == b"(none)" else terminal,
        cwd,
        tuple(items[number] for number in sorted(items)),
    )


def arguments_in(bodies: t.Sequence[bytes]) -> list[bytes]:
    """Return the arguments in the bodies of EXECVE records."""
    if len(bodies) == 1:
        quoted = decode.quoted_arguments(bodies[0]) if b"\0" not in bodies[0] else None
        if quoted is not None:
            return quoted
    return [text.encode("utf-8", "surrogateescape") for text in decode.arguments(bodies, _MOST_BYTES)]


def absolute(name: bytes, cwd: bytes) -> bytes:
    """Return a name as an absolute path without ``.`` and ``..``, b"" where the directory is unknown."""
    if not name or not (name.startswith(b"/") or cwd.startswith(b"/")):
        return b""
    path = posixpath.normpath(posixpath.join(cwd, name))
    return path[1:] if path.startswith(b"//") else path


def is_descriptor(path: bytes) -> bool:
    """Return whether a path only names a descriptor of a process, such as a pipe or a file in memory."""
    return _DESCRIPTOR.fullmatch(path) is not None


def without_process(path: bytes) -> bytes:
    """Return the path of a descriptor as /dev/fd has it, the same in every process; any other path as it is."""
    return _DESCRIPTOR.sub(rb"/dev/fd/\1", path) if is_descriptor(path) else path


def recorded(path: bytes) -> bytes:
    """Return a path as audit_log_untrustedstring() of linux/kernel/audit.c writes it."""
    if any(byte < 0x21 or byte > 0x7E or byte == 0x22 for byte in path):
        return path.hex().upper().encode("ascii")
    return b'"%s"' % path


def is_script(event: Executed, arguments: t.Sequence[bytes]) -> bool:
    """Return whether item 0 is a script, if it is known not to be the program itself.

    The kernel puts the interpreter, and what was executed, before the arguments of a script. A program that the dynamic
    loader loads has two items, a script with such an interpreter three.
    """
    if len(event.items) < 2 or not event.items[0].path:
        return False
    return len(event.items) >= _SCRIPT_ITEMS or event.items[0].name in arguments[1:3]
