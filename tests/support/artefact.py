# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as it is published, and the programs that check it and build images with it."""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import subprocess
import sys

from tests.support import collection, paths
from tests.support._require import require
from tests.support.controllers import Controller

_REQUIREMENTS = paths.ROOT / "requirements" / "publish.txt"
_BOOTSTRAP = paths.ROOT / "tools" / "bootstrap.py"


def build(core: Controller, directory: pathlib.Path) -> pathlib.Path:
    """Build the artefact in ``directory`` from what is or would be committed, and return its path."""
    require("command:git")
    source = collection.copy(directory / "source")
    command = [core.program("ansible-galaxy"), "collection", "build", "--output-path", str(directory), str(source)]
    subprocess.run(command, env=without_checkout(directory), check=True)
    (built,) = directory.glob("bulwark-servers-*.tar.gz")
    return built


def without_checkout(directory: pathlib.Path) -> dict[str, str]:
    """Return variables with which the checkout isn't found: where it is, there would be nothing left to install."""
    return {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(directory)}


@functools.cache
def programs() -> pathlib.Path:
    """Return the directory of galaxy-importer's Python and of ansible-builder, set up when it isn't there."""
    recipe = hashlib.sha256(_REQUIREMENTS.read_bytes() + _BOOTSTRAP.read_bytes()).hexdigest()[:12]
    directory = paths.cache() / "publish" / recipe
    command = [sys.executable, str(_BOOTSTRAP), str(directory), "-r", str(_REQUIREMENTS)]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    return directory / "bin"
