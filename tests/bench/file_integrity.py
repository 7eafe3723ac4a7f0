# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full check of /usr against ``aide --check``: the same tree, attributes and number of workers, one after the other.

Ours runs as it does on a target: the self-contained file that ansible-core sends (AnsiballZ), in a fresh process of
the system's Python, so that starting Python, unpacking and importing count. Both run at normal priority from a warm
cache. The ratio is the median over the pairs. floor_ratio is what no check can fall below that hashes each file with
Python's hashlib: as many bare processes as there are workers read and hash the same files, whose names they are given,
and look at nothing else. peak_mb is the largest sum of the proportional set sizes (PSS,
proc_pid_smaps(5)) of our process and its workers, sampled in a run of its own; peak_rss_mb counts what they share once
for each.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import statistics
import tempfile
import time
import typing as t

from tests.bench import _measure as measure
from tests.support import commands

TREE = "/usr"
WORKERS = 2
PAIRS = 5
_MODULE = "bulwark.servers.file_integrity"
_WATCH = "bench"

_AIDE = """\
database_in=file:{database}
database_out=file:{database}
gzip_dbout=no
num_workers={workers}
log_level=warning
report_url=stdout
Everything=ftype+p+u+g+s+i+n+l+m+c+acl+xattrs+selinux+caps+e2fsattrs+sha256
{tree} Everything
"""


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when what is needed is missing, or either side finds changes."""
    aide = commands.find("aide")
    if aide is None or os.geteuid() != 0:
        raise RuntimeError("this bench needs root and AIDE: apt-get install aide")
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name:
        directory = pathlib.Path(name)
        peer = _peer(aide, directory)
        ours = _ours(directory)
        seconds = _timed({"peer": peer, **ours, "floor": _floor(directory)})
        statistic = _statistics(ours["always"])
        _same_work(peer, statistic["entries"])
        return {
            "ours_s": round(statistics.median(seconds["always"]), 3),
            "peer_s": round(statistics.median(seconds["peer"]), 3),
            "ratio": _ratio(seconds["always"], seconds["peer"]),
            "ratio_unchanged": _ratio(seconds["changed"], seconds["peer"]),
            "floor_ratio": _ratio(seconds["floor"], seconds["peer"]),
            "floor_s": round(statistics.median(seconds["floor"]), 3),
            "unchanged_s": round(statistics.median(seconds["changed"]), 3),
            **measure.peak(ours["always"]),
            "entries": statistic["entries"],
            "bytes": statistic["bytes_read"],
            "workers": WORKERS,
            "python": measure.output([measure.python(), "-V"]).strip(),
            "peer": measure.output([aide, "--version"]).splitlines()[0],
        }


def _timed(sides: t.Mapping[str, list[str]]) -> dict[str, list[float]]:
    """Run everything once to warm the cache, then in turns; return the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for command in sides.values():
        measure.output(command)
    for _pair in range(PAIRS):
        for name, command in sides.items():
            started = time.perf_counter()
            measure.output(command)
            seconds[name].append(time.perf_counter() - started)
        print(" ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items()), flush=True)
    return seconds


def _ratio(ours: list[float], peer: list[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(ours, peer, strict=True)), 3)


def _peer(aide: str, directory: pathlib.Path) -> list[str]:
    """Make AIDE's database; return the command that checks."""
    configuration = directory / "aide.conf"
    configuration.write_text(_AIDE.format(database=directory / "aide.db", workers=WORKERS, tree=TREE))
    measure.output([aide, "--config", str(configuration), "--init"])
    return [aide, "--config", str(configuration), "--check"]


def _ours(directory: pathlib.Path) -> dict[str, list[str]]:
    """Make our baseline; return the commands that check, by how they rehash."""
    common = {"state_dir": str(directory / "state"), "priority": "normal", "workers": WORKERS}
    watches = [{"name": _WATCH, "paths": [TREE]}]
    made = measure.payload(directory / "keep.py", _MODULE, {**common, "watches": watches})
    json.loads(measure.output(made))
    return {
        rehash: measure.payload(directory / f"{rehash}.py", f"{_MODULE}_info", {**common, "rehash": rehash})
        for rehash in ("always", "changed")
    }


_HASH_ONLY = """
import hashlib, os, sys
names = sys.stdin.buffer.read().split(b"\\0")
buffer = bytearray(1 << 20)
for name in names:
    descriptor = os.open(name, os.O_RDONLY)
    digest = hashlib.sha256()
    while True:
        length = os.readv(descriptor, [buffer])
        if not length:
            break
        digest.update(memoryview(buffer)[:length])
    os.close(descriptor)
    digest.hexdigest()
"""


def _floor(directory: pathlib.Path) -> list[str]:
    """Deal the tree's files out, the largest first, so that all processes get the same; return what hashes them."""
    found = [
        (os.lstat(path).st_size, path)
        for folder, _folders, names in os.walk(os.fsencode(TREE))
        for path in (os.path.join(folder, name) for name in names)
        if not os.path.islink(path) and os.path.isfile(path)
    ]
    shares: list[list[bytes]] = [[] for _worker in range(WORKERS)]
    sizes = [0] * WORKERS
    for size, path in sorted(found, reverse=True):
        least = sizes.index(min(sizes))
        shares[least].append(path)
        sizes[least] += size
    program = directory / "floor.py"
    program.write_text(_HASH_ONLY)
    for number, share in enumerate(shares):
        (directory / f"share{number}").write_bytes(b"\0".join(share))
    each = " & ".join(f"{measure.python()} {program} < {directory}/share{number}" for number in range(WORKERS))
    return ["sh", "-c", f"{each} & wait"]


def _statistics(command: list[str]) -> dict[str, t.Any]:
    """Check once more, for what was done; RuntimeError when it found anything, or left anything out."""
    result = json.loads(measure.output(command))
    (scope,) = [entry for entry in result["coverage"] if entry["scope"] == _WATCH]
    if result["changes_count"] or scope["status"] != "checked":
        raise RuntimeError(f"the tree changed meanwhile, or could not be read: {result['changes'][:3]} {scope}")
    return t.cast("dict[str, t.Any]", result["statistics"])


def _same_work(peer: list[str], entries: int) -> None:
    """Raise RuntimeError unless AIDE looked at the same number of entries and found no change either."""
    said = measure.output(peer)
    number = re.search(r"Number of entries:\s*(\d+)", said)
    if number is None or int(number.group(1)) != entries or "NO differences" not in said:
        raise RuntimeError(f"AIDE did not do the same work: {said[:500]}")
