# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what the collection keeps on this host, and name what stays."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs, _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.host_state import accounts
from ansible_collections.bulwark.servers.plugins.module_utils.host_state.removal import Left, Removal, foreign

# Beside the state of a host there may be the store of a controller, with the files that SQLite makes for it.
_STORE = b"findings.db"
_LISTED = 50
_SHOWN = 1000
_FAILURES = 5


class _Root(t.NamedTuple):
    """A directory that holds state. names: of what is to be removed there; known: of all that the collection makes."""

    path: str
    names: set[bytes]
    known: set[bytes]


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    check_options(params, (), {"lock_timeout": 0})
    removal = Removal(check_mode, params["lock_timeout"])
    is_root = os.geteuid() == 0
    roots = [] if is_root and params["skip_root"] else _roots(params["_roots"])
    directories = [directory for root in roots for directory in _clear(removal, root, check_mode)]
    if is_root:
        removal.left += _of_others(set().union(*(root.names for root in roots)))
    return _result(removal, directories)


def _roots(given: t.Sequence[t.Mapping[str, t.Any]]) -> list[_Root]:
    """Return the directories, each once. Raises UsageError."""
    roots: dict[str, _Root] = {}
    for entry in given:
        path = os.path.normpath(entry["path"] or _state.default_root(os.environ, os.geteuid()))
        if not os.path.isabs(path):
            raise UsageError("state_dirs: '%s' is relative; give an absolute path" % path)
        root = roots.setdefault(path, _Root(path, set(), set()))
        root.names.update(map(os.fsencode, entry["names"]))
        root.known.update(map(os.fsencode, entry["known"]))
    return [root for root in roots.values() if root.names]


def _clear(removal: Removal, root: _Root, check_mode: bool) -> t.Iterator[dict[str, t.Any]]:
    """Yield what was removed in a directory; why that can't be done is a failure that is left there."""
    try:
        yield from _directories(removal, root, check_mode)
    except (_state.StateError, OSError) as error:
        removal.left.append(Left(os.fsencode(root.path), str(error), True))


def _directories(removal: Removal, root: _Root, check_mode: bool) -> t.Iterator[dict[str, t.Any]]:
    """Remove what is named in a directory, and the directory itself if that is all; yield what was removed."""
    outer = _state.open_root(root.path, create=False)
    if outer is None:
        return
    path = os.fsencode(root.path)
    try:
        rest = []
        for name in sorted(_safe_fs.listed(outer)):
            if name not in root.names:
                rest.append(name)
                continue
            files, size, count = removal.files, removal.bytes, len(removal.removed)
            if not removal.node(outer, name, os.path.join(path, name)):
                rest.append(name)
            if len(removal.removed) > count:
                yield _directory(path, name, removal.files - files, removal.bytes - size)
        # What others may use is not the collection's alone, and nobody asks what else is in it.
        if foreign(os.fstat(outer)) is not None:
            return
    finally:
        os.close(outer)
    removal.left += [_not_removed(path, name, root.known) for name in rest if name not in root.names]
    if not rest and _is_removed(path, check_mode, removal):
        removal.removed.append(path)


def _directory(path: bytes, name: bytes, files: int, size: int) -> dict[str, t.Any]:
    return {"name": printable(name), "path": printable(os.path.join(path, name)), "files": files, "bytes": size}


def _not_removed(path: bytes, name: bytes, known: t.Container[bytes]) -> Left:
    reason = (
        "it is state of another capability, which was not selected"
        if name in known
        else "it does not belong to the collection"
    )
    if name.startswith(_STORE):
        reason = "it is the store of a controller"
    return Left(os.path.join(path, name), reason, False)


def _is_removed(path: bytes, check_mode: bool, removal: Removal) -> bool:
    if check_mode:
        return True
    try:
        os.rmdir(path)
    except OSError as error:
        reason = "it is a mount point, and empty" if error.errno == errno.EBUSY else _safe_fs.reason(error)
        removal.left.append(Left(path, reason, False))
        return False
    return True


def _of_others(names: t.AbstractSet[bytes]) -> list[Left]:
    with contextlib.suppress(OSError):
        return [
            Left(
                path,
                "it is the state of the account %s; sign in as that account and run this with bulwark_become=false"
                % printable(account),
                False,
            )
            for account, path in accounts.with_state(names)
        ]
    return []


def _result(removal: Removal, directories: t.Sequence[dict[str, t.Any]]) -> dict[str, t.Any]:
    shown = [printable(path) for path in sorted(removal.removed)[:_SHOWN]]
    result: dict[str, t.Any] = {
        "changed": bool(removal.removed),
        "removed": list(directories),
        "left": [{"path": printable(one.path), "reason": one.reason} for one in removal.left[:_LISTED]],
        "left_count": len(removal.left),
        "diff": {
            "before": "".join("%s\n" % path for path in shown),
            "after": "",
            "before_header": "state on the host",
            "after_header": "state on the host",
        },
    }
    failures = [one for one in removal.left if one.is_failure]
    if failures:
        texts = ["%s: %s" % (printable(one.path), one.reason) for one in failures[:_FAILURES]]
        more = len(failures) - len(texts)
        message = "Not all state could be removed: %s%s." % ("; ".join(texts), " and %d more" % more if more else "")
        result.update(failed=True, msg=message)
    return result
