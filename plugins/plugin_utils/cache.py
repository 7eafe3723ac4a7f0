# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache on the controller's disk, for what takes long to make and is the same for every host.

Ansible does each host's tasks in a process of its own, so that nothing of it stays in memory. The cache is private to
the account that runs Ansible; where it can't be kept, or somebody else could write in it, it isn't used.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import stat
import tempfile
import time
import typing as t

_PREFIX = "content-"
# Of other inputs: another play, or an older version. Those that were used last stay.
_KEPT = 8
_LARGEST = 64 << 20
# Making it takes a second or two; a process that holds the lock for longer than this is stuck.
_PATIENCE = 30.0
_POLL = 0.05


def default_directory(environment: t.Mapping[str, str]) -> pathlib.Path:
    """Return the directory by the XDG Base Directory Specification."""
    base = environment.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "bulwark"


def cached(directory: pathlib.Path, key: str, make: t.Callable[[], dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return what ``make`` made for a key, JSON data, now or before. key: made of everything that it depends on.

    Processes that need the same at the same time wait for the first to make it.
    """
    if not _usable(directory):
        return make()
    path = directory / f"{_PREFIX}{key}.json"
    found = _read(path)
    if found is not None:
        return found
    with _locked(directory / "lock"):
        found = _read(path)
        if found is None:
            found = make()
            _write(path, found)
    return found


def _usable(directory: pathlib.Path) -> bool:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = os.stat(directory, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _read(path: pathlib.Path) -> dict[str, t.Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return None
        try:
            found = json.loads(stream.read(_LARGEST))
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict):
            return None
        with contextlib.suppress(OSError):  # on a file system that is read-only nothing is removed either
            os.utime(descriptor)
    return found


def _write(path: pathlib.Path, data: t.Mapping[str, t.Any]) -> None:
    with contextlib.suppress(OSError):  # the next process makes it again
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)  # with mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(data, stream)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        _prune(path.parent)


def _prune(directory: pathlib.Path) -> None:
    files = sorted(directory.glob(f"{_PREFIX}*.json"), key=lambda file: file.lstat().st_mtime, reverse=True)
    for file in files[_KEPT:]:
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> t.Iterator[None]:
    """Let one process at a time in; all of them when one takes too long, or the lock can't be had at all."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)
