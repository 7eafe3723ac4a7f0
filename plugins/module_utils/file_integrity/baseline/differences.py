# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two states of one path, attribute by attribute."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines

_SIMPLE = (
    ("type", "type"),
    ("size", "size"),
    ("mode", "mode"),
    ("owner", "uid"),
    ("group", "gid"),
    ("inode", "inode"),
    ("links", "links"),
    ("mtime", "mtime_ns"),
    ("ctime", "ctime_ns"),
    ("flags", "flags"),
    ("device", "device"),
    ("link_target", "link_target"),
)


def differing(before: model.Entry, after: model.Entry, watch: model.Watch) -> tuple[str, ...]:
    """Return the attributes that differ, in the order of ``model.ATTRIBUTES``.

    What either side doesn't have recorded is not compared, nor what the watch doesn't select, nor content that can't be
    read now. Content that could not be read when it was recorded differs from any: nobody has ever seen it.
    """
    attributes = []
    for attribute, field in _SIMPLE:
        old, new = getattr(before, field), getattr(after, field)
        if attribute in watch.attributes and old is not None and new is not None and old != new:
            attributes.append(attribute)
    if "content" in watch.attributes and _contents_differ(before.hashes, after.hashes):
        attributes.append("content")
    if before.xattrs is not None and after.xattrs is not None:
        for kind in lines.XATTR_KINDS:
            recorded = kind in before.xattr_kinds and kind in after.xattr_kinds
            if recorded and kind in watch.attributes and _of(before.xattrs, kind) != _of(after.xattrs, kind):
                attributes.append(kind)
    return tuple(attributes)


def same_content(left: model.Entry, right: model.Entry) -> bool:
    """Say whether two files are known to have the same content."""
    common = _common(left.hashes, right.hashes)
    return bool(common) and all(a == b for a, b in common)


def _contents_differ(before: t.Mapping[str, str] | None, after: t.Mapping[str, str] | None) -> bool:
    if before is not None and not before:
        return bool(after)
    return any(left != right for left, right in _common(before, after))


def _common(left: t.Mapping[str, str] | None, right: t.Mapping[str, str] | None) -> list[tuple[str, str]]:
    if not left or not right:
        return []
    return [(digest, right[algorithm]) for algorithm, digest in left.items() if algorithm in right]


def _of(xattrs: t.Mapping[bytes, bytes], kind: str) -> dict[bytes, bytes]:
    return {name: value for name, value in xattrs.items() if lines.xattr_kind(name) == kind}
