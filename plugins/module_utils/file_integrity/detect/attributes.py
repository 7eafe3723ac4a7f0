# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes as people read them: modes, owners, flags, capabilities and ACLs by name."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import (
    ACL_XATTRS,
    CAPABILITY_XATTR,
    SELINUX_XATTR,
    Entry,
)

# In the order of their bits, from linux/capability.h; capabilities(7) explains each.
_CAPABILITIES = """
    chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
    net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
    sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
    mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore
"""
_CAPABILITY_NAMES = ["cap_" + name for name in _CAPABILITIES.split()]

_VFS_CAP_REVISION_MASK = 0xFF000000
_VFS_CAP_EFFECTIVE = 0x000001
_VFS_CAP_WORDS = {0x01000000: 1, 0x02000000: 2, 0x03000000: 2}
_VFS_CAP_REVISION_3 = 0x03000000

_ACL_VERSION = 2
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
    """Return a ``security.capability`` attribute (linux/capability.h) as setcap(8) takes it; hex if it is none."""
    try:
        (magic,) = struct.unpack_from("<I", value)
        words = _VFS_CAP_WORDS[magic & _VFS_CAP_REVISION_MASK]
        fields = struct.unpack_from("<%dI" % (2 * words), value, 4)
    except (struct.error, KeyError):
        return "0x" + value.hex()
    permitted = sum(fields[2 * word] << 32 * word for word in range(words))
    inheritable = sum(fields[2 * word + 1] << 32 * word for word in range(words))
    effective = "e" if magic & _VFS_CAP_EFFECTIVE else ""
    by_flags: dict[str, list[str]] = {}
    for bit in range(32 * words):
        held = effective * bool((permitted | inheritable) >> bit & 1)
        flags = held + "i" * (inheritable >> bit & 1) + "p" * (permitted >> bit & 1)
        if flags:
            name = _CAPABILITY_NAMES[bit] if bit < len(_CAPABILITY_NAMES) else str(bit)
            by_flags.setdefault(flags, []).append(name)
    text = " ".join("%s=%s" % (",".join(names), flags) for flags, names in by_flags.items())
    if magic & _VFS_CAP_REVISION_MASK == _VFS_CAP_REVISION_3 and len(value) >= 4 * (2 + 2 * words):
        (root,) = struct.unpack_from("<I", value, 4 * (1 + 2 * words))
        text += " [rootid=%d]" % root
    return text


def acl(value: bytes) -> str:
    """Return a POSIX ACL attribute (linux/posix_acl_xattr.h) in the short form of setfacl(1); hex if it is none."""
    try:
        if struct.unpack_from("<I", value)[0] != _ACL_VERSION or (len(value) - 4) % 8:
            return "0x" + value.hex()
    except struct.error:
        return "0x" + value.hex()
    shown = []
    for tag, bits, identifier in struct.iter_unpack("<HHI", value[4:]):
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
    found = {}
    for name in ACL_XATTRS:
        text = _xattr(entry, name, acl)
        if text is not None:
            found[name.decode().rsplit("_", 1)[1]] = text
    return found


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
