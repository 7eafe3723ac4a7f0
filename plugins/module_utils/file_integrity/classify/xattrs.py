# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the extended attributes that mean something for security: capabilities, ACLs, SELinux labels."""

from __future__ import annotations

import re
import struct

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model

# linux/capability.h, in the order of their numbers.
_NAMES = tuple(
    "cap_" + name
    for name in (
        *("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
        *("linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner"),
        *("sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice"),
        *("sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap"),
        *("mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"),
        "checkpoint_restore",
    )
)
# struct vfs_ns_cap_data: the revision and the number of 32-bit words of permitted and inheritable sets.
_REVISION = 0xFF000000
_WORDS = {0x01000000: 1, 0x02000000: 2, 0x03000000: 2}

# linux/posix_acl_xattr.h and posix_acl.h.
_ACL_VERSION = 2
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_KINDS = {0x02: "user", 0x08: "group"}
_ACL_WRITE = 2


def capabilities(entry: model.Entry | None) -> frozenset[str]:
    """Return the names of the capabilities in a file's permitted or inheritable set (capabilities(7))."""
    value = _value(entry, model.CAPABILITY_XATTR)
    if len(value) < 4:
        return frozenset()
    words = _WORDS.get(struct.unpack_from("<I", value)[0] & _REVISION, 0)
    if not words or len(value) < 4 + 8 * words:
        return frozenset(["unreadable"])
    numbers = struct.unpack_from("<%dI" % (2 * words), value, 4)
    bits = 0
    for word in range(words):
        bits |= (numbers[2 * word] | numbers[2 * word + 1]) << 32 * word
    return frozenset(_name(number) for number in range(32 * words) if bits >> number & 1)


def named(text: str) -> frozenset[str]:
    """Return the capability names in a text such as ``cap_net_raw,cap_net_admin=ep``."""
    return frozenset(re.findall(r"cap_[a-z_]+", text))


def writers(entry: model.Entry) -> frozenset[str]:
    """Return the named users and groups (``user 1000``) that an entry's ACLs let write, acl(5)."""
    found = set()
    for name in model.ACL_XATTRS:
        value = _value(entry, name)
        if len(value) < 4 or struct.unpack_from("<I", value)[0] != _ACL_VERSION:
            continue
        usable = len(value) - (len(value) - 4) % _ACL_ENTRY.size
        for tag, allowed, number in _ACL_ENTRY.iter_unpack(value[4:usable]):
            if tag in _ACL_KINDS and allowed & _ACL_WRITE:
                found.add("%s %d" % (_ACL_KINDS[tag], number))
    return frozenset(found)


def label(entry: model.Entry) -> str:
    """Return the SELinux label as text, ``none`` when there is none."""
    return _finding.printable(_value(entry, model.SELINUX_XATTR).rstrip(b"\0")) or "none"


def _value(entry: model.Entry | None, name: bytes) -> bytes:
    return (entry.xattrs or {}).get(name, b"") if entry is not None else b""


def _name(number: int) -> str:
    return _NAMES[number] if number < len(_NAMES) else "cap_%d" % number
