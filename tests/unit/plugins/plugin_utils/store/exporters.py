# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exporters for test_outbox_parallel.py. Run as a program: ``exporters.py URL NAME FILE CHANGES LEASE``.

Claims so many changes at a time, appends them to a file, which stands for the receiver, and settles them. Ends when
nothing waits any more and FILE.end is there. The writers are in ``processes.py``.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Settlement, Store

from tests.support import paths
from tests.unit.plugins.plugin_utils.store.outboxes import NAME


def export(url: str, exporter: str, file: str, changes: int, lease: float) -> None:
    with contextlib.closing(Store.open(url)) as store, pathlib.Path(file).open("ab", buffering=0) as receiver:
        while True:
            claimed = store.claim(NAME, exporter, changes=changes, size=10**6, lease=lease, now=time.time())
            if not claimed and not store.destinations()[0].waiting and pathlib.Path(f"{file}.end").exists():
                return
            lines = [json.dumps([exporter, change.id, change.key, change.uid]) for change in claimed]
            # One write for each: a killed exporter may have sent a part.
            for line in lines:
                os.write(receiver.fileno(), f"{line}\n".encode())
            store.settle(NAME, exporter, [Settlement(change.id, "sent") for change in claimed], now=time.time())
            if not claimed:
                time.sleep(0.05)


def spawn(url: str, exporter: str, file: pathlib.Path, changes: int, lease: float) -> subprocess.Popen[str]:
    """Start this file as a program."""
    command = [sys.executable, "-m", "tests.unit.plugins.plugin_utils.store.exporters", url, exporter, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
    return subprocess.Popen([*command, str(changes), str(lease)], cwd=paths.ROOT, env=environment, text=True)


def received(file: pathlib.Path) -> list[tuple[str, int, str, str]]:
    """Return exporter, id, key and uid of what the receiver got, in its order."""
    return [t.cast("tuple[str, int, str, str]", tuple(json.loads(line))) for line in file.read_text().splitlines()]


if __name__ == "__main__":
    export(*sys.argv[1:4], changes=int(sys.argv[4]), lease=float(sys.argv[5]))
