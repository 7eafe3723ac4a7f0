# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes as people read them: modes, owners, flags, capabilities and ACLs by name."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _xattr_values
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import (
    ACL_XATTRS,
    CAPABILITY_XATTR,
    SELINUX_XATTR,
    Entry,
)

# ACL_USER_OBJ, ACL_USER, ... of linux/posix_acl.h, as setfacl(1) writes them.
_ACL_TAGS = {0x01: "user:", 0x02: "user:%s", 0x04: "group:", 0x08: "group:%s", 0x10: "mask:", 0x20: "other:"}


def attribute(entry: Entry, name: str) -> t.Any:
    """Return one attribute as plain JSON data for the evidence; None where it was not recorded."""
    reader = _READERS.get(name)
    if reader is not None:
        return reader(entry)
    return {
        "size": entry.size,
        "inode": entry.inode,
        "links": entry.links,
        "mtime": entry.mtime_ns,
        "ctime": entry.ctime_ns,
        "type": entry.type,
    }[name]


def mode_text(mode: int) -> str:
    """Return a mode as chmod(1) takes it and as ls(1) shows it, ``4755 rwsr-xr-x``."""
    return "%04o %s" % (mode, stat.filemode(stat.S_IFREG | mode)[1:])


def account(uid: int | None) -> str | None:
    return None if uid is None else _named(uid, lambda: pwd.getpwuid(uid).pw_name)


def group(gid: int | None) -> str | None:
    return None if gid is None else _named(gid, lambda: grp.getgrgid(gid).gr_name)


def capabilities(value: bytes) -> str:
    """Return a ``security.capability`` attribute as setcap(8) takes it; hex if it is none."""
    sets = _xattr_values.capability_sets(value)
    if sets is None:
        return "0x" + value.hex()
    effective = "e" if sets.is_effective else ""
    by_flags: dict[str, list[str]] = {}
    for bit in _xattr_values.bits(sets.permitted | sets.inheritable):
        flags = effective + "i" * (sets.inheritable >> bit & 1) + "p" * (sets.permitted >> bit & 1)
        by_flags.setdefault(flags, []).append(_xattr_values.capability_name(bit))
    text = " ".join("%s=%s" % (",".join(names), flags) for flags, names in by_flags.items())
    return text if sets.root_id is None else text + " [rootid=%d]" % sets.root_id


def acl(value: bytes) -> str:
    """Return a POSIX ACL attribute in the short form of setfacl(1); hex if it is none."""
    entries = _xattr_values.acl_entries(value)
    if entries is None or (len(value) - 4) % 8:
        return "0x" + value.hex()
    shown = []
    for tag, bits, identifier in entries:
        form = _ACL_TAGS.get(tag, "%d:%%s" % tag)
        if "%s" in form:
            form = form % (account(identifier) if tag == 0x02 else group(identifier))
        permissions = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        shown.append("%s:%s" % (form, permissions))
    return ",".join(shown)


def _named(number: int, name: t.Callable[[], str]) -> str:
    try:
        return "%s (%d)" % (printable(name()), number)
    except KeyError:
        return str(number)


def _mode(entry: Entry) -> str | None:
    return None if entry.mode is None else mode_text(entry.mode)


def _flags(entry: Entry) -> list[str] | None:
    return None if entry.flags is None else list(entry.flags)


def _device(entry: Entry) -> str | None:
    return None if entry.device is None else "%d:%d" % (os.major(entry.device), os.minor(entry.device))


def _link_target(entry: Entry) -> str | None:
    return None if entry.link_target is None else printable(entry.link_target)


def _content(entry: Entry) -> dict[str, str] | None:
    return None if entry.hashes is None else {name: digest for name, digest in entry.hashes.items() if digest}


def _xattr(entry: Entry, name: bytes, shown: t.Callable[[bytes], str]) -> str | None:
    value = (entry.xattrs or {}).get(name)
    return None if value is None else shown(value)


def _acls(entry: Entry) -> dict[str, str]:
    acls = {}
    for name in ACL_XATTRS:
        text = _xattr(entry, name, acl)
        if text is not None:
            acls[name.decode().rsplit("_", 1)[1]] = text
    return acls


def _others(entry: Entry) -> dict[str, str]:
    return {
        printable(name): printable(value)
        for name, value in sorted((entry.xattrs or {}).items())
        if lines.xattr_kind(name) == "xattrs"
    }


_READERS: dict[str, t.Callable[[Entry], t.Any]] = {
    "mode": _mode,
    "owner": lambda entry: account(entry.uid),
    "group": lambda entry: group(entry.gid),
    "flags": _flags,
    "device": _device,
    "link_target": _link_target,
    "content": _content,
    "acl": _acls,
    "capabilities": lambda entry: _xattr(entry, CAPABILITY_XATTR, capabilities),
    "selinux": lambda entry: _xattr(entry, SELINUX_XATTR, lambda value: printable(value.rstrip(b"\0"))),
    "xattrs": _others,
}
