# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check whether the files of clamd's alerts still exist, were changed, or are gone."""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.clamd_socket import Clamd, ClamdError

_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENOTDIR)

INFECTED, CLEAN, GONE, UNKNOWN = ("infected", "clean", "gone", "unknown")


class Verdict(t.NamedTuple):
    """status: of the constants above. signature: that clamd names now. reason: why it is unknown. size: in bytes.

    is_silent: clamd did not answer.
    """

    status: str
    signature: str | None = None
    reason: str | None = None
    size: int | None = None
    is_silent: bool = False


def exists(path: bytes) -> bool:
    """Say whether there is something of this name."""
    try:
        os.lstat(path)
    except (OSError, ValueError):
        return False
    return True


def examine(path: bytes, clamd: Clamd | None) -> Verdict:
    """Return the verdict on the file at a path. clamd: None to scan nothing.

    The path is one that a log names, so somebody else may have chosen it: nothing but a file is opened (a watchdog
    begins to count when it is), and what only root may read is shown to no account.
    """
    try:
        pinned = os.open(path, _PIN)
    except ValueError:
        return Verdict(UNKNOWN, reason="its name can't be one of a file")
    except OSError as error:
        if error.errno in _GONE:
            return Verdict(GONE)
        return Verdict(UNKNOWN, reason=error.strerror)
    try:
        status = os.fstat(pinned)
        if not stat.S_ISREG(status.st_mode):
            return Verdict(UNKNOWN, reason="it is not a regular file now")
        is_secret = status.st_uid == 0 and not status.st_mode & stat.S_IROTH
        if clamd is None or is_secret:
            return Verdict(UNKNOWN, size=status.st_size)
        descriptor = _safe_fs.Reopener().read(pinned)
        try:
            signature = clamd.scan(descriptor)
        finally:
            os.close(descriptor)
    except ClamdError as error:
        return Verdict(UNKNOWN, reason=str(error), is_silent=True)
    except OSError as error:
        return Verdict(UNKNOWN, reason=error.strerror)
    finally:
        os.close(pinned)
    return Verdict(CLEAN if signature is None else INFECTED, signature, size=status.st_size)
