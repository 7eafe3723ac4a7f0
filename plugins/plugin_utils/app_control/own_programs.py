# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of the program that the collection leaves on hosts with a policy, as this controller has the code.

A look does not have all code that the program is made of, and what a host says of it may be a lie.
"""

from __future__ import annotations

import hashlib
import os
import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import hook_files
from ansible_collections.bulwark.servers.plugins.plugin_utils import cache

_ANY = "/"
# All that hosts are sent, wherever the collection is.
_CODE = pathlib.Path(hook_files.__file__).parents[2]


def hook_digest() -> str:
    """Return the SHA-256 of the program that apt and dpkg run. To make it takes a third of a second, once."""
    directory = cache.default_directory(os.environ)
    return str(cache.cached(directory, _key(), lambda: {"sha256": _digest()})["sha256"])


def _digest() -> str:
    # The directory is in its arguments, not in it.
    return hashlib.sha256(hook_files.files(_ANY)[hook_files.program_path(_ANY)].content).hexdigest()


def _key() -> str:
    """Return a digest of what tells the code from any other."""
    digest = hashlib.sha256(b"app_control hook")
    for path in sorted(_CODE.rglob("*.py")):
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
