# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file collector of Windows hosts against a plain walk in the same runtime that only reads and hashes.

Both run in one Windows process under Wine, in turns, after a walk that warms the page cache. ours_s is with all that is
recorded of a file but its signature (the plain walk verifies none), full_s with signatures; files_s and mb_s are files
and megabytes a second of ours. peak_mb is the largest working set of the process. Wine has its own SHA-256 and its own
cost of opening a file: only the ratio says something of Windows.
"""

from __future__ import annotations

import json
import pathlib
import random
import statistics
import tempfile
import typing as t

from tests.support import paths
from tests.support.windows import compiler, toolchain, utilities

FILES = 3000
ROUNDS = 5
_SCENARIO = paths.ROOT / "tests" / "integration" / "windows" / "FileScenario.cs"
_UTILITIES = ("contracts.Json", "file_integrity.FileCollector", "file_integrity.SignatureJudge")
# All that is recorded, but the signature.
_UNSIGNED = [
    *("content", "size", "mtime", "created", "attributes", "owner", "dacl", "streams", "reparse", "links", "file_id"),
]


def run() -> dict[str, t.Any]:
    """Return the figures."""
    sources = [*utilities.sources(*_UTILITIES), _SCENARIO]
    program = compiler.compile_program(sources, compiler.Target.WINDOWS)
    with tempfile.TemporaryDirectory() as name:
        size = _fill(pathlib.Path(name))
        folder = toolchain.windows_path(pathlib.Path(name))
        walk = {"do": "walk", "path": folder}
        unsigned = {"do": "collect", "paths": [folder], "attributes": _UNSIGNED}
        full = {"do": "collect", "paths": [folder]}
        steps = [walk, *[unsigned, walk] * ROUNDS, full]
        output = program.run(input="".join(f"{json.dumps(step)}\n" for step in steps), seconds=600).stdout
    results = [json.loads(line) for line in output.splitlines()]
    ours = statistics.median(result["seconds"] for result in results[1:-1:2])
    peer = statistics.median(result["seconds"] for result in results[2:-1:2])
    return {
        "ours_s": round(ours, 3),
        "peer_s": round(peer, 3),
        "ratio": round(ours / peer, 2),
        "full_s": round(results[-1]["seconds"], 3),
        "files_s": round(FILES / ours),
        "mb_s": round(size / ours / 1e6),
        "peak_mb": round(results[-1]["peak"] / 1e6, 1),
    }


def _fill(root: pathlib.Path) -> int:
    """Make files of usual sizes, one in twenty a signed program; return how many bytes they have."""
    draw = random.Random(18)  # noqa: S311 - the same tree in each run, nothing secret
    assemblies = sorted(toolchain.windows_runtime().assemblies.glob("*.dll"))
    total = 0
    for number in range(FILES):
        folder = root / f"folder{number // 150}"
        folder.mkdir(exist_ok=True)
        if number % 20 == 0:
            content = assemblies[number // 20 % len(assemblies)].read_bytes()
        else:
            content = draw.randbytes(int(draw.lognormvariate(9.5, 1.5)))
        (folder / f"file{number}").write_bytes(content)
        total += len(content)
    return total
