# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cache of the digests of files on the host: to read all programs of a large host takes half a minute.

A file counts as the same with the same device, inode, size and times. The kernel sets the time of the inode, and no
program can. The file is beside the state of enforcement, where root alone can write.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import state
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import FileKey

_NAME = "digests.json"
_VERSION = 1
# 100,000 files have 25 MB.
_MOST_BYTES = 128 * 1024 * 1024

Digests = t.Dict[FileKey, t.Dict[str, str]]


def read(state_dir: str | None) -> Digests:
    """Return the cached digests; none if the cache is unusable, as the files can be read again."""
    try:
        with state.directory(state_dir, create=False) as where:
            descriptor = where.open_file(_NAME) if where is not None else None
        if descriptor is None:
            return {}
        with os.fdopen(descriptor, "rb") as stream:
            content = json.loads(stream.read(_MOST_BYTES))
        if content["version"] != _VERSION:
            return {}
        return {
            (int(device), int(inode), int(size), int(modified), int(changed)): dict(digests)
            for device, inode, size, modified, changed, digests in content["files"]
        }
    except (StateError, OSError, ValueError, KeyError, TypeError):
        return {}


def write(state_dir: str | None, digests: Digests) -> None:
    """Write the digests beside the state of enforcement, if there is one. Raises StateError."""
    content = {"version": _VERSION, "files": [[*key, value] for key, value in sorted(digests.items())]}
    with state.directory(state_dir, create=False) as where:
        if where is not None:
            with where.written(_NAME) as stream:
                stream.write(json.dumps(content, separators=(",", ":")).encode("ascii"))
