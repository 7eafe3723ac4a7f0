# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary: a program that nobody has trusted, so that a daemon that enforces must refuse it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo

# The kernel asks fapolicyd before it looks at the format, and knows none that begins so (execve(2), ENOEXEC). Where it
# is not refused nothing runs, so nobody has to be told of a program of ours.
_CONTENT = b"This file is not a program: bulwark.servers tries whether it is refused. "
# Bytes that make another content of it, that no list can have.
_RANDOM = 32
# Names, by what makes a canary. An upgrade has two of them.
PROOF, LOOK, TRIAL, WINDOW = "canary", "canary-look", ".bulwark-canary", ".bulwark-window"
UPGRADE, UPGRADE_REFUSED = ".bulwark-upgrade", ".bulwark-upgrade-refused"
# Only mounted for the daemon of a proof.
PROOF_DIRECTORY = "/run/bulwark-proof"
# Beside the state, for hosts where /var is mounted with noexec.
_DIRECTORIES = ("/root", "/etc")


class CanaryError(Exception):
    """There is no canary, or it did not end well; the message is one sentence."""


def directory(candidates: t.Iterable[str]) -> str:
    """Return the first directory that programs can run from. Raises CanaryError."""
    try:
        mounts = _mountinfo.own()
    except OSError as error:
        raise CanaryError("the mounts can't be read: %s" % error.strerror) from error
    for path in candidates:
        if os.path.isdir(path) and b"noexec" not in _mountinfo.options_at(mounts, os.fsencode(os.path.realpath(path))):
            return path
    raise CanaryError("no directory for a canary is on a mount without noexec")


def home(state_dir: str) -> str:
    """Return the directory for canaries on this host. state_dir: of the enforcement. Raises CanaryError."""
    return directory((state_dir, *_DIRECTORIES))


def paths(state_dir: str) -> frozenset[str]:
    """Return all paths that canaries can have on this host. state_dir: of the enforcement."""
    names = (LOOK, TRIAL, WINDOW, UPGRADE, UPGRADE_REFUSED)
    directories = (state_dir, *_DIRECTORIES)
    in_directories = (os.path.join(directory, name) for directory in directories for name in names)
    return frozenset((os.path.join(PROOF_DIRECTORY, PROOF), *in_directories))


@contextlib.contextmanager
def made(directory: str, name: str = PROOF) -> t.Iterator[str]:
    """Give the path of a new canary in a directory of root's, and remove it afterwards. Raises CanaryError."""
    path = create(directory, name)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)


def create(directory: str, name: str) -> str:
    """Make a canary in a directory of root's, in place of one before, and return its path. Raises CanaryError."""
    path = os.path.join(directory, name)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o700)
        with os.fdopen(descriptor, "wb") as written:
            written.write(_CONTENT + secrets.token_bytes(_RANDOM))
    except OSError as error:
        raise CanaryError("no canary can be made in %s: %s" % (directory, error.strerror)) from error
    return path


def is_refused(path: str) -> bool:
    """Run a canary, or a program that does nothing; say whether fapolicyd refuses that.

    Raises CanaryError for another failure.
    """
    try:
        # run_command has no error number, by which a refusal is known.
        pid = os.posix_spawn(path, ["true"], {})  # pylint: disable=ansible-bad-function
    except OSError as error:
        # fanotify(7): EPERM. A mount with noexec answers with EACCES.
        if error.errno == errno.EPERM:
            return True
        if error.errno == errno.ENOEXEC:
            return False
        raise CanaryError("%s could not be run: %s" % (path, error.strerror)) from error
    _pid, status = os.waitpid(pid, 0)
    if status:
        raise CanaryError("%s ended with status %d" % (path, status))
    return False
