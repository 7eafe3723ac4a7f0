# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files of fapolicyd, replaced while the daemon runs."""

from __future__ import annotations

import contextlib
import os

from ansible_collections.bulwark.servers.plugins.module_utils import _atomic_file
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import daemon

_MODE = 0o644
# Not beside the file: the daemon reads whatever is in trust.d.
_TEMPORARY = ".bulwark-new"


def read(path: str) -> bytes:
    """Return the content of a file below /etc/fapolicyd, nothing where it is not there. Raises OSError."""
    try:
        with open(absolute(path), "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def write(path: str, content: bytes) -> None:
    """Put a file in the place of the one before, with its owner. Raises OSError; the file is as before then."""
    target = absolute(path)
    status = os.stat(target if os.path.exists(target) else absolute("fapolicyd.conf"))
    _atomic_file.write(target, content, _MODE, absolute(_TEMPORARY), (status.st_uid, status.st_gid))


def remove(path: str) -> None:
    """Remove a file, if it is there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(absolute(path))


def absolute(path: str) -> str:
    return os.path.join(daemon.DIRECTORY, path)
