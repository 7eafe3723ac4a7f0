# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers with nothing in them but a few programs."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import typing as t

from tests.fleet.engine import Engine


@contextlib.contextmanager
def container(engine: Engine, programs: t.Mapping[str, str], *command: str) -> t.Iterator[tuple[str, int]]:
    """Give the id of a running container and the pid, on this host, of its first process.

    programs: names in the container's root directory, with the paths of what they are copies of.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, path in programs.items():
            archive.add(os.path.realpath(path), name)
    image = engine("import", "-", stdin=stream.getvalue())
    try:
        made = engine("run", "--detach", "--network=none", "--stop-timeout=0", image, *command)
        try:
            yield made, int(engine("inspect", "--format", "{{.State.Pid}}", made))
        finally:
            engine("rm", "--force", made)
    finally:
        engine("rmi", "--force", image)
