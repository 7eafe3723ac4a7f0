# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read extended attributes, of which the owner of a file can make as many as the file system holds (xattr(7))."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines

# Of attributes that mean nothing by themselves, more than this on one file are kept as one digest of all.
MOST = 32
_ALL = b"all"
_NAMED = (*model.ACL_XATTRS, model.CAPABILITY_XATTR, model.SELINUX_XATTR)
_NOTHING: t.Mapping[bytes, bytes] = {}


def read(where: int | bytes, kinds: t.AbstractSet[str]) -> tuple[t.Mapping[bytes, bytes], str | None]:
    """Return the attributes of these kinds (``lines.XATTR_KINDS``), and what could not be read of them, or None.

    Those that grant something are read by their names when there are too many to be listed (64 KiB of names): nobody
    may hide a capability behind a heap of others.
    """
    if not kinds:
        return _NOTHING, None
    try:
        names = [os.fsencode(text) for text in os.listxattr(where)]
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return _NOTHING, None
        problem = "its extended attributes cannot be listed: %s" % _safe_fs.reason(error)
        return _values(where, [name for name in _NAMED if lines.xattr_kind(name) in kinds]), problem
    if not names:
        return _NOTHING, None
    named = [name for name in names if lines.xattr_kind(name) in kinds and lines.xattr_kind(name) != "xattrs"]
    values = _values(where, named)
    if "xattrs" in kinds:
        values.update(_sealed(_values(where, [name for name in names if lines.xattr_kind(name) == "xattrs"])))
    return values, None


def _values(where: int | bytes, names: t.Iterable[bytes]) -> dict[bytes, bytes]:
    values = {}
    for name in names:
        with contextlib.suppress(OSError):  # not there, or removed since it was listed
            values[name] = os.getxattr(where, name)
    return values


def _sealed(values: t.Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return digests in place of the values, which can be secrets; one for all where there are many."""
    sealed = {name: b"sha256:%s:%d" % (_digest(value), len(value)) for name, value in values.items()}
    if len(sealed) <= MOST:
        return sealed
    together = b"\0".join(name + b"=" + value for name, value in sorted(sealed.items()))
    return {_ALL: b"sha256:%s:%d" % (_digest(together), len(sealed))}


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
