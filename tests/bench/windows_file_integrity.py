# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full comparison of files and registry on Windows against a plain walk that only reads and hashes.

Both are Windows processes of the same .NET runtime under Wine, one after the other. The plain walk enumerates the same
files and keys, reads every file and value, computes SHA-256 by the runtime's own class, and keeps nothing. It says what
the comparison adds, and nothing of the speed on Windows: Wine's calls have other costs.

files_s and keys_s: how many files, and keys with values, the comparison reads in a second. payload_bytes: what
ansible-core sends of C# with the module, before compression. peak_mb: the largest working set of our process.
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
import typing as t

from tests.bench import _measure as measure
from tests.integration.windows.file_integrity import _modules as modules
from tests.support.windows import compiler, toolchain, utilities

FILES = 4_000
FILE_BYTES = 20_000
REGISTRY = r"HKLM\SOFTWARE\Classes"
PAIRS = 5
_PLAIN = pathlib.Path(__file__).parent / "windows" / "PlainWalk.cs"
_SECONDS = 600


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when a comparison finds changes."""
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name:
        directory = pathlib.Path(name)
        tree = directory / "tree"
        _make(tree)
        figures = {
            kind: _pairs(watch, plain)
            for kind, watch, plain in (
                ("files", {"paths": [toolchain.windows_path(tree)]}, toolchain.windows_path(tree)),
                ("keys", {"registry": [REGISTRY]}, REGISTRY),
            )
        }
    sources = utilities.sources("file_integrity.Look")
    ours = sum(figure["ours_s"] for figure in figures.values())
    peer = sum(figure["peer_s"] for figure in figures.values())
    return {
        "ours_s": round(ours, 3),
        "peer_s": round(peer, 3),
        "ratio": round(ours / peer, 3),
        **{f"ratio_{kind}": round(figure["ours_s"] / figure["peer_s"], 3) for kind, figure in figures.items()},
        **{f"{kind}_s": round(figure["entries"] / figure["ours_s"]) for kind, figure in figures.items()},
        "peak_mb": max(figure["peak_mb"] for figure in figures.values()),
        "payload_bytes": sum(file.stat().st_size for file in sources),
        "peer": measure.output(toolchain.wine_command("--version")).strip(),
    }


def _make(tree: pathlib.Path) -> None:
    for number in range(FILES):
        file = tree / f"directory{number % 50}" / f"file{number}.dat"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(64) * (FILE_BYTES // 64))


def _pairs(watch: dict[str, t.Any], plain: str) -> dict[str, float]:
    """Return the seconds of both, the entries, and our memory, for one watch."""
    # State is refused below a directory that everybody can write in, as the one for temporary files is.
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-", dir=toolchain.shared_prefix() / "drive_c") as name:
        return _compared(f"C:\\{pathlib.Path(name).name}\\state", watch, plain)


def _compared(state_dir: str, watch: dict[str, t.Any], plain: str) -> dict[str, float]:
    params = {"state_dir": state_dir, "watches": [{"name": "bench", **watch}]}
    applied = _ours(modules.APPLY, params)
    walk = compiler.compile_program([*utilities.sources("api.BackgroundMode"), _PLAIN], compiler.Target.WINDOWS)
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    peak = 0.0
    for pair in range(PAIRS + 1):
        compared = _ours(modules.LOOK, {"state_dir": state_dir})
        if compared["changes"]:
            raise RuntimeError(f"the host changed during the bench: {compared['changes'][:3]}")
        peer = json.loads(walk.run(plain, seconds=_SECONDS).stdout)
        # The first pair warms the cache.
        if pair:
            seconds["ours"].append(compared["statistics"]["seconds"])
            seconds["peer"].append(peer["seconds"])
        peak = max(peak, _peak_mb(state_dir) if pair == PAIRS else 0.0)
    return {
        "ours_s": statistics.median(seconds["ours"]),
        "peer_s": statistics.median(seconds["peer"]),
        "entries": applied["baseline"]["entries"],
        "peak_mb": peak,
    }


def _ours(module: str, params: dict[str, t.Any]) -> dict[str, t.Any]:
    asked = json.dumps([{"module": module, "params": params, "check_mode": False}])
    (result,) = json.loads(modules.program().run(input=asked, seconds=_SECONDS).stdout)
    if result.get("failed"):
        raise RuntimeError(result["msg"])
    return t.cast("dict[str, t.Any]", result)


def _peak_mb(state_dir: str) -> float:
    """Return the largest resident size of the Windows process, as this machine's kernel counts it."""
    asked = json.dumps([{"module": modules.LOOK, "params": {"state_dir": state_dir}, "check_mode": False}])
    peak = 0
    with subprocess.Popen(
        modules.program().command(),
        env=toolchain.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(asked.encode())
        process.stdin.close()
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(0.02)
    return round(peak / 1024, 1)


def _resident(pid: int) -> int:
    """Return the largest resident size so far, in KiB; 0 when the process has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
