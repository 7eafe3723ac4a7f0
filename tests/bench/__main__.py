# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one bench: ``python -m tests.bench NAME`` calls ``run`` of tests/bench/NAME.py.

The last line printed is one JSON object: name, ours_s, peer_s, ratio (ours to the peer's), peak_mb, and what
else that bench measures.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys

FIGURES = ("ours_s", "peer_s", "ratio", "peak_mb")


def names() -> list[str]:
    """Return the names of all benches."""
    return sorted(file.stem for file in pathlib.Path(__file__).parent.glob("[a-z]*.py"))


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in names():
        print(f"bench: name one of these: make bench NAME={'|'.join(names())}", file=sys.stderr)
        return 2
    (name,) = arguments
    figures = importlib.import_module(f"tests.bench.{name}").run()
    missing = [figure for figure in FIGURES if figure not in figures]
    if missing:
        raise KeyError(f"the bench {name} did not measure {', '.join(missing)}")
    print(json.dumps({"name": name, **figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
