# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory for fapolicyd, prepared beside the one in use, with the files of others as they are."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._exchange import exchange

STAGED = "/etc/.fapolicyd-bulwark"
DISCARD = ("rm", "-rf", "--one-file-system", STAGED)
_MOST_FILES, _MOST_BYTES = 10_000, 1 << 30
_MODE = 0o644


class StagingError(Exception):
    """The directory can't be prepared; the message is one sentence."""


def read(directory: str, path: str) -> bytes | None:
    """Return the content of a file below a directory; None where there is none. Raises StagingError."""
    try:
        descriptor = os.open(os.path.join(directory, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StagingError("%s can't be read: %s" % (os.path.join(directory, path), error.strerror)) from error
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(_MOST_BYTES)


def build(
    source: str,
    target: str,
    files: t.Mapping[str, bytes],
    without: t.Container[str] = (),
    times: t.Mapping[str, int] | None = None,
) -> None:
    """Make ``target`` a copy of ``source`` with owner, mode, times and extended attributes, and write files into it.

    A file that was there keeps its owner, its mode and its attributes. files: contents by their paths below the
    directory. without: paths below it that are left out. times: of modification in nanoseconds, by path, for files that
    are written. Raises StagingError.
    """
    try:
        discard(target)
        os.mkdir(target, 0o700)
        _copy(source, target, "", without, [0, 0])
        for path, data in files.items():
            _write(source, target, path, data, (times or {}).get(path))
        _take_over(source, target)
        _synchronize(target)
        _check_exchange(target)
    except OSError as error:
        raise StagingError("%s can't be prepared: %s" % (target, error.strerror or error)) from error


def discard(directory: str) -> None:
    """Remove a directory that was prepared, if it is there. Raises OSError."""
    if os.path.lexists(directory):
        shutil.rmtree(directory)


def _copy(source: str, target: str, below: str, without: t.Container[str], counted: list[int]) -> None:
    with os.scandir(os.path.join(source, below)) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = os.path.join(below, name)
        if path in without:
            continue
        old, new = os.path.join(source, path), os.path.join(target, path)
        status = os.lstat(old)
        counted[0] += 1
        counted[1] += status.st_size
        if counted[0] > _MOST_FILES or counted[1] > _MOST_BYTES:
            raise StagingError("%s has more files than fapolicyd's own directory would; remove what isn't its" % source)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(new, 0o700)
            _copy(source, target, path, without, counted)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(old), new)
        elif stat.S_ISREG(status.st_mode):
            shutil.copyfile(old, new, follow_symlinks=False)
        else:
            raise StagingError("%s is not a file, directory or link; remove it, as no copy can be made of it" % old)
        _take_over(old, new)


def _write(source: str, target: str, path: str, data: bytes, modified: int | None) -> None:
    """Write a file, like the one of that path in ``source``, or else like the directory's own file of configuration."""
    new = os.path.join(target, path)
    above = os.path.dirname(path)
    if above and not os.path.isdir(os.path.join(target, above)):
        os.mkdir(os.path.join(target, above), 0o700)
        _take_over(source, os.path.join(target, above))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    status = os.stat(new)
    like = os.path.join(source, path)
    if os.path.isfile(like):
        _take_over(like, new)
    else:
        model = os.path.join(source, "fapolicyd.conf")
        _take_over(model if os.path.isfile(model) else new, new)
        os.chmod(new, _MODE)
    changed = status.st_mtime_ns if modified is None else modified
    os.utime(new, ns=(changed, changed))


def _take_over(old: str, new: str) -> None:
    status = os.lstat(old)
    os.chown(new, status.st_uid, status.st_gid, follow_symlinks=False)
    # Mode, times and extended attributes, with the label of SELinux.
    shutil.copystat(old, new, follow_symlinks=False)


def _synchronize(target: str) -> None:
    """Have everything on the disk, so that a crash after the exchange leaves no empty files."""
    for above, _directories, names in os.walk(target):
        for name in [*names, ""]:
            path = os.path.join(above, name)
            if not os.path.islink(path):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def _check_exchange(target: str) -> None:
    """Exchange the directory with an empty one, and back: a file system that can't do it fails here, not later."""
    empty = target + ".empty"
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(empty)
    os.mkdir(empty, 0o700)
    try:
        exchange(target, empty)
        exchange(target, empty)
    finally:
        os.rmdir(empty)
