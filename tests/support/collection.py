# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the collection at the path that Ansible's own tools insist on."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

from tests.support import paths


def copy(destination: pathlib.Path) -> pathlib.Path:
    """Copy what is or would be committed to ``destination/ansible_collections/bulwark/servers``; return that path.

    Files that Git does not know yet are in it, ignored ones are not.
    """
    target = destination / "ansible_collections" / "bulwark" / "servers"
    for name in files():
        source = paths.ROOT / name
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name, follow_symlinks=False)
    return target


def files() -> list[pathlib.PurePath]:
    """Return the names of the checkout's files that Git tracks or would track."""
    command = ["git", "-C", str(paths.ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.split(b"\0")
    found = (pathlib.PurePath(os.fsdecode(name)) for name in sorted(set(names)) if name)
    return [name for name in found if os.path.lexists(paths.ROOT / name)]
