# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system call did to which file, by the call and its PATH records."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity, PathItem

# What system calls do to the paths in their records, by the name of the call. Those that are not here, and open a file,
# write it when they create it, or are asked to.
ACTIONS = {
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "unlink": "delete",
    "unlinkat": "delete",
    "rmdir": "delete",
    "link": "link",
    "linkat": "link",
    "symlink": "symlink",
    "symlinkat": "symlink",
    "chmod": "chmod",
    "fchmod": "chmod",
    "fchmodat": "chmod",
    "fchmodat2": "chmod",
    "chown": "chown",
    "fchown": "chown",
    "lchown": "chown",
    "fchownat": "chown",
    "setxattr": "setxattr",
    "lsetxattr": "setxattr",
    "fsetxattr": "setxattr",
    "setxattrat": "setxattr",
    "removexattr": "setxattr",
    "lremovexattr": "setxattr",
    "fremovexattr": "setxattr",
    "removexattrat": "setxattr",
    "truncate": "truncate",
    "ftruncate": "truncate",
    "mknod": "create",
    "mknodat": "create",
    "mkdir": "create",
    "mkdirat": "create",
    "creat": "create",
    "open": "write",
    "openat": "write",
    "openat2": "write",
    "open_by_handle_at": "write",
    "utime": "utime",
    "utimes": "utime",
    "utimensat": "utime",
    "futimesat": "utime",
    "mount": "mount",
    "move_mount": "mount",
}
_OPENS = {"open": activity.A1, "openat": activity.A2, "open_by_handle_at": activity.A2}
# O_WRONLY, O_RDWR, O_CREAT and O_TRUNC (asm-generic/fcntl.h); the same on every architecture that Linux servers have.
_WRITES = 0o1 | 0o2 | 0o100 | 0o1000


def changes_of(subject: Activity, call: str) -> list[dict[str, str]]:
    """Return the changes of an event: for each the file, the action, and what else is known."""
    action = ACTIONS[call]
    items = [path for path in subject.paths if path.kind not in ("PARENT", "UNKNOWN")]
    if action == "rename":
        return _moves(subject, items, "DELETE", action)
    if action == "link":
        return _moves(subject, items, "NORMAL", action)
    if action == "symlink":
        return _links(subject, items)
    if call == "mount":
        # The kernel looks up where to mount first, and then what a bind mount shows there.
        items = items[:1]
    if action == "write" and not any(path.kind == "CREATE" for path in items) and not _writes(subject, call):
        return []
    changes = []
    for path in items:
        change = _change(subject, path, {"CREATE": "create", "DELETE": "delete"}.get(path.kind, action))
        if action == "chmod":
            change["mode"] = _octal(subject.parts[deciding_argument(call) or activity.A1])
        changes.append(change)
    return changes


def _change(subject: Activity, path: PathItem, action: str) -> dict[str, str]:
    target = posixpath.join(*_parent_of(subject, path), path.name) if path.name else ""
    return {"target": subject.resolved(target), "action": action, "mode": path.mode, "owner": path.owner}


def _parent_of(subject: Activity, path: PathItem) -> list[str]:
    """Return the directory of a name that the call gave relative to a descriptor, where the records have it."""
    if path.name.startswith("/"):
        return [""]
    for other in subject.paths:
        if other.kind == "PARENT" and other.item < path.item and other.name.startswith("/"):
            base = posixpath.basename(path.name)
            return [other.name] if base == path.name else [""]
    return [""]


def _moves(subject: Activity, items: t.Sequence[PathItem], gone: str, action: str) -> list[dict[str, str]]:
    """Return the one change of a call that gives something another name."""
    created = [path for path in items if path.kind == "CREATE"]
    sources = [path for path in items if path.kind == gone]
    if not created:
        return [_change(subject, path, action) for path in items]
    change = _change(subject, created[-1], action)
    if sources:
        change["source"] = _change(subject, sources[0], action)["target"]
    return [change]


def _links(subject: Activity, items: t.Sequence[PathItem]) -> list[dict[str, str]]:
    created = [path for path in items if path.kind == "CREATE"]
    changes = [_change(subject, path, "symlink") for path in created[-1:]]
    # What the link leads to is a name that was not looked up: the record before has no kind that says more.
    target = next((path.name for path in subject.paths if path.kind == "UNKNOWN"), "")
    for change in changes:
        change["source"] = target
    return changes


def _writes(subject: Activity, call: str) -> bool:
    place = _OPENS.get(call)
    if place is None:
        return True
    try:
        return bool(int(subject.parts[place] or b"0", 16) & _WRITES)
    except ValueError:
        return False


def deciding_argument(call: str) -> int | None:
    """Return the place of the argument that decides what an event of this call is: how a file is opened, its mode."""
    if call in _OPENS:
        return _OPENS[call]
    if ACTIONS.get(call) == "chmod":
        return activity.A2 if call.startswith("fchmodat") else activity.A1
    return None


def _octal(argument: bytes | None) -> str:
    try:
        return "%04o" % (int(argument or b"", 16) & 0o7777)
    except ValueError:
        return ""
