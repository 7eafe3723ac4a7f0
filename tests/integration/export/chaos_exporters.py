# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports in processes that are killed: ``chaos_exporters.py ARGUMENTS``, with the arguments of ``killed_exporter``.

For a line ``kill`` it kills the export that runs (SIGKILL) and starts another one, for ``keep`` it starts one only if
the last has ended by itself. It answers ``alive`` or ``ended``: what the last one was. Each is a fork of this process,
which has imported everything: what an export imports takes longer than what it does here.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds

from tests.integration.export import killed_exporter

_LIBRARIES = ("sqlalchemy.dialects.postgresql.psycopg", "elasticsearch", "confluent_kafka", "urllib3")


def _begin() -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            killed_exporter.main()
            status = 0
        finally:
            os._exit(status)
    return pid


def _has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def main() -> None:
    """Do what the lines say, and kill the last export at their end."""
    given: dict[str, t.Any] = json.loads(sys.argv[1])
    for name in _LIBRARIES:
        importlib.import_module(name)
    for destination in given["destinations"]:
        for kind in kinds.KINDS.keys() & destination.keys():
            kinds.load(kind)
    pid = _begin()
    for line in sys.stdin:
        has_ended = _has_ended(pid)
        if not has_ended and line == "kill\n":
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        if has_ended or line == "kill\n":
            pid = _begin()
        print("ended" if has_ended else "alive", flush=True)  # noqa: T201 (whoever started it waits for this line)
    if not _has_ended(pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
