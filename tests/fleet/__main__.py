# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and remove the fleet of ``make fleet``."""

from __future__ import annotations

import argparse
import sys

from tests.fleet import engine, images
from tests.fleet.fleet import Fleet, remove_all
from tests.support import missing, paths


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.action == "down":
            return _down(options.all)
        return _up(_matrix() if options.matrix else ["trixie"] * options.hosts)
    except (engine.EngineError, images.ImageError) as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description="Disposable hosts with sshd.")
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="replace the fleet that is up, if any, by a new one")
    up.add_argument(
        "--hosts", type=_number, default=4, metavar="N", help="how many hosts of the newest release, at least 1 (4)"
    )
    up.add_argument(
        "--matrix", action="store_true", help="instead, one host for each Python: " + ", ".join(images.PYTHONS)
    )
    down = actions.add_parser("down", help="remove the fleet and whatever was started for it")
    down.add_argument("--all", action="store_true", help="also what other checkouts and interrupted tests left")
    return parser


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a fleet has 1 host or more, not '{text}'")
    return int(text)


def _matrix() -> list[str]:
    kinds = list(images.PYTHONS)
    reason = missing("python:3.8")
    if reason:
        kinds.remove("python38")
        print(f"Without a Python 3.8 host: it {reason}")
    return kinds


def _up(kinds: list[str]) -> int:
    with engine.use() as used:
        fleet = Fleet(used, paths.BUILD / "fleet")
        fleet.stop()
        print(
            f"Starting {len(kinds)} hosts (the first time, their images are built, which takes a minute or two) ...",
            flush=True,
        )
        for host in fleet.start(*kinds):
            print(f"  {host.name:12} {host.address:15} Python {images.PYTHONS[host.kind]}")
    inventory = fleet.inventory.relative_to(paths.ROOT)
    print(
        f"Inventory: {inventory}\nScan them with 'make scan INVENTORY={inventory}', remove them with 'make fleet-down'."
    )
    return 0


def _down(everything: bool) -> int:
    running = engine.running()
    if running is not None:
        Fleet(running, paths.BUILD / "fleet").remove()
        if everything:
            remove_all(running)
    if not engine.stop_if_idle():
        print("The engine goes on: it has other containers, or tests use it.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
