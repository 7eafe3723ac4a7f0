# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decode the extended attributes that mean something for security: file capabilities and POSIX ACLs."""

from __future__ import annotations

import struct
import typing as t

# In the order of their bits, from linux/capability.h; capabilities(7) explains each.
_CAPABILITIES = """
    chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service
    net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin
    sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override
    mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore
"""
_NAMES = ["cap_" + name for name in _CAPABILITIES.split()]

# struct vfs_ns_cap_data: the revision and the number of 32-bit words of permitted and inheritable sets.
_REVISION_MASK = 0xFF000000
_REVISION_3 = 0x03000000
_EFFECTIVE = 0x000001
_WORDS = {0x01000000: 1, 0x02000000: 2, _REVISION_3: 2}

# linux/posix_acl_xattr.h.
_ACL_VERSION = 2
_ACL_ENTRY = struct.Struct("<HHI")


class CapabilitySets(t.NamedTuple):
    """The capability sets of a file as bits. root_id: of the user namespace that they count in, if one is named."""

    permitted: int
    inheritable: int
    is_effective: bool
    root_id: int | None


def capability_sets(value: bytes) -> CapabilitySets | None:
    """Return the sets of a ``security.capability`` attribute (linux/capability.h); None if it is none."""
    try:
        (magic,) = struct.unpack_from("<I", value)
        words = _WORDS[magic & _REVISION_MASK]
        fields = struct.unpack_from("<%dI" % (2 * words), value, 4)
    except (struct.error, KeyError):
        return None
    permitted, inheritable = (sum(number << 32 * word for word, number in enumerate(fields[n::2])) for n in (0, 1))
    has_root = magic & _REVISION_MASK == _REVISION_3 and len(value) >= 4 * (2 + 2 * words)
    root_id = struct.unpack_from("<I", value, 4 * (1 + 2 * words))[0] if has_root else None
    return CapabilitySets(permitted, inheritable, bool(magic & _EFFECTIVE), root_id)


def bits(number: int) -> t.Iterator[int]:
    """Yield the positions of the bits that are set."""
    return (bit for bit in range(number.bit_length()) if number >> bit & 1)


def capability_name(bit: int) -> str:
    return _NAMES[bit] if bit < len(_NAMES) else "cap_%d" % bit


def acl_entries(value: bytes) -> t.Iterator[tuple[int, int, int]] | None:
    """Return tag, permissions and id of each entry of an ACL attribute; None if it is none."""
    if len(value) < 4 or struct.unpack_from("<I", value)[0] != _ACL_VERSION:
        return None
    return _ACL_ENTRY.iter_unpack(value[4 : len(value) - (len(value) - 4) % _ACL_ENTRY.size])
