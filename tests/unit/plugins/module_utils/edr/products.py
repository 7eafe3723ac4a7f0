# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A product of the tests: programs in a directory of root's, and the entry that describes it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.edr import entry as entries
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import Entry

# A name of at most 15 bytes, as a process shows it whole. Other workers of the tests look at the same processes.
DAEMON = f"bwtestd{os.getpid() % 10**8}"


def described(directory: pathlib.Path, identifier: str = "falco", **fields: t.Any) -> Entry:
    return entries.parse({"products": {identifier: payload(directory, **fields)}})[0]


def payload(directory: pathlib.Path, **fields: t.Any) -> dict[str, t.Any]:
    """Return the fields of an entry as the controller sends them."""
    return {"title": "Falco", "kind": "sensor", "programs": [str(directory / DAEMON)], **fields}


def script(path: pathlib.Path, text: str, mode: int = 0o755) -> pathlib.Path:
    """Write a command that root alone can change."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(mode)
    return path


@contextlib.contextmanager
def running(program: pathlib.Path, name: str | None = None) -> t.Iterator[int]:
    """Run a copy of sleep(1) at this path; yield its process id. name: what it is called, if not by its path."""
    program.unlink(missing_ok=True)
    shutil.copy(os.path.realpath(shutil.which("sleep") or "/bin/sleep"), program)
    program.chmod(0o755)
    process = subprocess.Popen([name or str(program), "60"], executable=str(program))
    try:
        end = time.monotonic() + 10
        while os.readlink(f"/proc/{process.pid}/exe") != str(program) and time.monotonic() < end:
            time.sleep(0.01)
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
