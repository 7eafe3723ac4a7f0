# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digests of the programs that the collection leaves on hosts with a policy, as this controller has the code.

A look does not have all code that they are made of, and what a host says of it may be a lie.
"""

from __future__ import annotations

import hashlib
import os
import pathlib

from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import (
    hook_files,
    watcher,
    watchers,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils import cache

_ANY = "/"
# All that hosts are sent, wherever the collection is.
_CODE = pathlib.Path(hook_files.__file__).parents[2]


def digests() -> dict[str, str]:
    """Return the SHA-256 of each program, by its name. To make them takes a third of a second, once."""
    return cache.cached(cache.default_directory(os.environ) / "programs", _key(), _digests)


def _digests() -> dict[str, str]:
    # The directory is in the arguments of the hook, not in it.
    hook = hook_files.files(_ANY)[hook_files.program_path(_ANY)].content
    programs = {hook_files.PROGRAM: hook, watchers.PROGRAM: watcher.program()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in programs.items()}


def _key() -> str:
    """Return a digest of what tells the code from any other."""
    digest = hashlib.sha256(b"app_control programs")
    for path in sorted(_CODE.rglob("*.py")):
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
