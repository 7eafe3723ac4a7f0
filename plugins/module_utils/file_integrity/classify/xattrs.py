# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capabilities, ACLs and SELinux labels of entries, for their judgement."""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils import _finding, _xattr_values
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model

_ACL_KINDS = {0x02: "user", 0x08: "group"}
_ACL_WRITE = 2


def capabilities(entry: model.Entry | None) -> frozenset[str]:
    """Return the names of the capabilities in a file's permitted or inheritable set (capabilities(7))."""
    value = _value(entry, model.CAPABILITY_XATTR)
    if len(value) < 4:
        return frozenset()
    sets = _xattr_values.capability_sets(value)
    if sets is None:
        return frozenset(["unreadable"])
    return frozenset(map(_xattr_values.capability_name, _xattr_values.bits(sets.permitted | sets.inheritable)))


def named(text: str) -> frozenset[str]:
    """Return the capability names in a text such as ``cap_net_raw,cap_net_admin=ep``."""
    return frozenset(re.findall(r"cap_[a-z_]+", text))


def writers(entry: model.Entry) -> frozenset[str]:
    """Return the named users and groups (``user 1000``) that an entry's ACLs let write, acl(5)."""
    return frozenset(
        "%s %d" % (_ACL_KINDS[tag], number)
        for name in model.ACL_XATTRS
        for tag, allowed, number in _xattr_values.acl_entries(_value(entry, name)) or ()
        if tag in _ACL_KINDS and allowed & _ACL_WRITE
    )


def label(entry: model.Entry) -> str:
    """Return the SELinux label as text, ``none`` when there is none."""
    return _finding.printable(_value(entry, model.SELINUX_XATTR).rstrip(b"\0")) or "none"


def _value(entry: model.Entry | None, name: bytes) -> bytes:
    return (entry.xattrs or {}).get(name, b"") if entry is not None else b""
