# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canonical line that a baseline keeps of each entry.

``NAME TYPE MODE UID GID SIZE INODE LINKS MTIME CTIME DEVICE FLAGS TARGET XATTRS HASHES MARK PACKAGE``, separated by
one space: the state, then what was known of it when it was recorded.
Equal states give equal bytes, so that what did not change is never parsed. ``-`` stands for what was not recorded.
The line up to DEVICE comes from one stat(2) call alone.
"""

from __future__ import annotations

import operator
import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model

_LETTERS = {
    stat.S_IFREG: (b"f", model.FILE),
    stat.S_IFDIR: (b"d", model.DIRECTORY),
    stat.S_IFLNK: (b"l", model.LINK),
    stat.S_IFIFO: (b"p", model.FIFO),
    stat.S_IFSOCK: (b"s", model.SOCKET),
    stat.S_IFCHR: (b"c", model.CHAR_DEVICE),
    stat.S_IFBLK: (b"b", model.BLOCK_DEVICE),
}
_TYPES = dict(_LETTERS.values())

# Attribute, field of stat_result, format; in the order of the line.
_STATUS = (
    ("mode", "st_mode", b"%o"),
    ("owner", "st_uid", b"%d"),
    ("group", "st_gid", b"%d"),
    ("size", "st_size", b"%d"),
    ("inode", "st_ino", b"%d"),
    ("links", "st_nlink", b"%d"),
    ("mtime", "st_mtime_ns", b"%d"),
    ("ctime", "st_ctime_ns", b"%d"),
    ("device", "st_rdev", b"%d"),
)

XATTR_KINDS = ("acl", "capabilities", "selinux", "xattrs")
_KIND_LETTERS = {"acl": "a", "capabilities": "c", "selinux": "s", "xattrs": "x"}

NONE = b"-"
_FIELDS = 17
_UNMARKED = b" . "
_MARKED = b" m "
# The digests of a file whose content could not be read.
UNREAD = b"!"

_FLAGS = {
    0: b".",
    _safe_fs.IMMUTABLE: b"i",
    _safe_fs.APPEND_ONLY: b"a",
    _safe_fs.IMMUTABLE | _safe_fs.APPEND_ONLY: b"ia",
}
_FLAG_NAMES = {b"i": ("immutable",), b"a": ("append_only",), b"ia": ("immutable", "append_only"), b".": ()}

_UNSAFE = re.compile(rb"[\x00-\x20\x7f\\,=]")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")

# What rehash=changed compares before it trusts the recorded content.
TRUSTED_ATTRIBUTES = frozenset(("size", "mtime", "ctime", "inode"))


def escape(name: bytes) -> bytes:
    """Return a name as one word of a line."""
    if _UNSAFE.search(name) is None:
        return name
    return _UNSAFE.sub(lambda match: b"\\x%02x" % ord(match.group()), name)


def unescape(word: bytes) -> bytes:
    if b"\\" not in word:
        return word
    return _ESCAPE.sub(lambda match: bytes([int(match.group(1), 16)]), word)


class Layout:
    """How the entries of one watch are written: which fields are kept and which are ``-``."""

    def __init__(self, watch: model.Watch) -> None:
        self.attributes = watch.attributes
        self.hashes = tuple(sorted(set(watch.hashes))) if "content" in watch.attributes else ()
        self.flags = "flags" in watch.attributes
        self.target = "link_target" in watch.attributes
        self.kinds = frozenset(kind for kind in XATTR_KINDS if kind in watch.attributes)
        self._kinds = b"".join(_KIND_LETTERS[kind].encode() for kind in XATTR_KINDS if kind in self.kinds) + b":"
        self.trusts_status = watch.attributes >= TRUSTED_ATTRIBUTES
        self._status = {kind: self._status_format(kind) for kind in _LETTERS}

    def status(self, name: bytes, status: os.stat_result) -> bytes:
        """Return the beginning of the line, up to and with the space before FLAGS. name: escaped."""
        template, fields = self._status[stat.S_IFMT(status.st_mode)]
        beginning: bytes = name + template % fields(status)
        return beginning

    def rest(
        self,
        flags: int | None,
        target: bytes | None,
        xattrs: t.Mapping[bytes, bytes] | None,
        digests: t.Mapping[str, str] | None,
    ) -> bytes:
        """Return the line after DEVICE, up to HASHES. digests: the watch's, none for what could not be read."""
        return b" ".join(
            (
                NONE if flags is None else _FLAGS[flags],
                NONE if target is None else b">" + escape(target),
                NONE if xattrs is None or not self.kinds else self._kinds + _written(xattrs),
                NONE if digests is None or not self.hashes else _digests_word(digests),
            )
        )

    def _status_format(self, kind: int) -> tuple[bytes, t.Callable[[os.stat_result], t.Any]]:
        template = [b"", _LETTERS[kind][0]]
        fields = []
        for attribute, field, form in _STATUS:
            applies = attribute in self.attributes
            if attribute == "device":
                applies = applies and kind in (stat.S_IFCHR, stat.S_IFBLK)
            elif kind == stat.S_IFDIR:
                applies = applies and attribute not in model.NOISE_OF_DIRECTORIES
            template.append(form if applies else NONE)
            if applies:
                fields.append(field)
        # attrgetter of one name returns no tuple, but % takes a single value too.
        getter = operator.attrgetter(*fields) if fields else _nothing
        return b" ".join(template) + b" ", getter


def _nothing(_status: os.stat_result) -> tuple[()]:
    return ()


def _digests_word(digests: t.Mapping[str, str]) -> bytes:
    if not digests:
        return UNREAD
    return ",".join(map("%s=%s".__mod__, digests.items())).encode()


def _written(xattrs: t.Mapping[bytes, bytes]) -> bytes:
    if not xattrs:
        return b"."
    return b",".join(escape(name) + b"=" + value.hex().encode() for name, value in sorted(xattrs.items()))


def name_of(line: bytes) -> bytes:
    """Return the escaped name that a line begins with."""
    return line[: line.index(b" ")]


def recorded(state: bytes, package: str | None, marked: bool = False) -> bytes:
    """Return the line of a state as it goes into a baseline. marked: its content isn't what its package installs."""
    return state + (_MARKED if marked else _UNMARKED) + (escape(package.encode()) if package else NONE)


def states(line: bytes, state: bytes) -> bool:
    """Say whether a recorded, unmarked line has this state."""
    return line.startswith(state + _UNMARKED)


def state_of(line: bytes) -> bytes:
    return line.rsplit(b" ", 2)[0]


def is_marked(line: bytes) -> bool:
    return line.rsplit(b" ", 2)[1] == b"m"


def is_settled(line: bytes) -> bool:
    """Say whether the content that was recorded, if any, was read and is what its package installs."""
    _state, digests, mark, _package = line.rsplit(b" ", 3)
    return mark != b"m" and digests != UNREAD


def is_unread(line: bytes) -> bool:
    """Say whether the content that belongs in a line could not be read."""
    return line.rsplit(b" ", 3)[1] == UNREAD


def is_directory(line: bytes, name: bytes) -> bool:
    """Say whether the line of an escaped name is a directory's."""
    return line.startswith(b"d", len(name) + 1)


def type_of(line: bytes) -> str:
    return _TYPES[line[line.index(b" ") + 1 :][:1]]


def digests_of(line: bytes) -> dict[str, str]:
    """Return the recorded digests, empty when there are none."""
    return _digests(line.split(b" ")[14]) or {}


def parse(line: bytes, path: bytes, watch: str, extra: t.Mapping[str, str] | None = None) -> model.Entry:
    """Return the entry of a line. extra: digests beyond the recorded ones. ValueError when it is no line."""
    fields = line.split(b" ")
    if len(fields) != _FIELDS:
        raise ValueError("a baseline line has %d fields, not %d" % (len(fields), _FIELDS))
    digests = _digests(fields[14])
    if extra and digests is not None:
        digests = {**digests, **extra}
    kinds, xattrs = _xattrs(fields[13])
    mode = None if fields[2] == NONE else stat.S_IMODE(int(fields[2], 8))
    numbers = [None if field == NONE else int(field) for field in fields[3:11]]
    return model.Entry(
        path=path,
        watch=watch,
        type=_TYPES[fields[1]],
        mode=mode,
        uid=numbers[0],
        gid=numbers[1],
        size=numbers[2],
        inode=numbers[3],
        links=numbers[4],
        mtime_ns=numbers[5],
        ctime_ns=numbers[6],
        device=numbers[7],
        flags=_FLAG_NAMES.get(fields[11]),
        link_target=None if fields[12] == NONE else unescape(fields[12][1:]),
        xattrs=xattrs,
        xattr_kinds=kinds,
        hashes=digests,
        package_mismatch=fields[15] == b"m",
        package=None if fields[16] == NONE else unescape(fields[16]).decode("utf-8", "replace"),
    )


def is_owned(line: bytes) -> bool:
    """Say whether a package owned the path of a baseline's line when it was recorded."""
    return line.split(b" ")[16] != NONE


def _digests(word: bytes) -> dict[str, str] | None:
    if word == NONE:
        return None
    if word == UNREAD:
        return {}
    digests = {}
    for pair in word.decode("ascii").split(","):
        algorithm, _separator, digest = pair.partition("=")
        digests[algorithm] = digest
    return digests


def _xattrs(word: bytes) -> tuple[tuple[str, ...], dict[bytes, bytes] | None]:
    if word == NONE:
        return (), None
    letters, _separator, text = word.partition(b":")
    kinds = tuple(kind for kind in XATTR_KINDS if _KIND_LETTERS[kind].encode() in letters)
    if text == b".":
        return kinds, {}
    values = {}
    for pair in text.split(b","):
        name, _separator, value = pair.partition(b"=")
        values[unescape(name)] = bytes.fromhex(value.decode("ascii"))
    return kinds, values


def xattr_kind(name: bytes) -> str:
    """Return which of ``XATTR_KINDS`` an extended attribute belongs to."""
    if name in model.ACL_XATTRS:
        return "acl"
    if name == model.CAPABILITY_XATTR:
        return "capabilities"
    return "selinux" if name == model.SELINUX_XATTR else "xattrs"
