# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running memory scans as they run on a target: in their own process, on the target's own Python."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import options
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content

from tests.support import paths

_PYTHON = "/usr/bin/python3"
_PROGRAM = """
import json, sys
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.collect import collect
json.dump(collect(json.load(sys.stdin), False), sys.stdout)
"""
# What the coverage says of a process that is chosen by its number and is not there.
_ENDED = "there is no such process"
# What it says because a test names the processes that are looked at.
CHOSEN = "only processes that memory_scan_pids, memory_scan_users or memory_scan_names select were scanned"
_OF_THE_HOST = "Only a scan of all processes looks for it, "


def scan(
    *pids: int, python: str = _PYTHON, prefix: t.Sequence[str] = (), exclude: t.Sequence[int] = (), **arguments: t.Any
) -> dict[str, t.Any]:
    """Return what memory_scan_info returns of these processes; of all that the prefix's namespaces show without any.

    prefix: a command that runs the interpreter, such as nsenter(1), as unshare(1) or another user.
    """
    alone = any(os.path.basename(word) in ("nsenter", "unshare") for word in prefix)
    assert pids or alone, "a test looks at the processes that it started, and at no others"
    spec = options.collect_spec()
    params = {name: option.get("default") for name, option in spec.items()}
    given = {"pids": list(pids), "exclude": list(exclude), "priority": "normal", "drift": False, "_content": _content()}
    answer = subprocess.run(
        [*prefix, python, "-W", "error", "-c", _PROGRAM],
        input=json.dumps({**params, **given, **arguments}).encode(),
        capture_output=True,
        # What it imports is compiled once for all runs, and not beside the sources.
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(paths.COLLECTIONS),
            "PYTHONPYCACHEPREFIX": str(paths.BYTECODE),
        },
        check=False,
        timeout=300,
    )
    errors = answer.stderr.decode(errors="replace")
    assert (answer.returncode, errors) == (0, ""), errors
    return t.cast("dict[str, t.Any]", json.loads(answer.stdout))


def signs(result: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return all that was seen, each with the pid of which it was seen, None for the host."""
    return [
        {**sign, "pid": evidence.get("process", {}).get("pid")}
        for detection in result["detections"]
        for evidence in detection["evidences"]
        for sign in evidence["data"]["signs"]
    ]


def skipped(result: t.Mapping[str, t.Any]) -> list[str]:
    """Return what was not looked at, and why, but for processes that ended before, and that a test chooses them.

    That the coverage says that is asserted here, for all tests.
    """
    processes, *others = result["coverage"]
    chosen = [one for one in processes["skipped"] if one["subject"] == "processes" and one["reason"].startswith(CHOSEN)]
    if chosen:
        assert (processes["status"], len(chosen)) == ("partial", 1)
        assert {entry["reason"][: len(_OF_THE_HOST)] for entry in others} == {_OF_THE_HOST}
        others = []
    found = [entry["reason"] for entry in [processes, *others] if entry["reason"]]
    for entry in [processes, *others]:
        told = [one for one in entry["skipped"] if one not in chosen and one["reason"] != _ENDED]
        found += [f"{one['subject']}: {one['reason']}" for one in told]
    return found


@functools.cache
def _content() -> str:
    return content.load()
