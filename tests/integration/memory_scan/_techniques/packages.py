# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package of Debian's with a daemon and a library, on this host for as long as a technique runs."""

from __future__ import annotations

import pathlib
import shutil

from tests.integration.memory_scan._techniques.bench import Bench, run

_NAME = "bulwark-memory-probe"
_PLACE = pathlib.Path("/usr/lib", _NAME)
DAEMON = str(_PLACE / "daemon")
LIBRARY = str(_PLACE / "library.so")

_SCRIPT = """#!/bin/sh
set -e
if [ "$2" ]; then
    touch "{scratch}/amid"
    tries=0
    until [ -e "{scratch}/go on" ] || [ $tries -gt 600 ]; do sleep 0.1; tries=$((tries + 1)); done
fi
"""


def build(bench: Bench, version: str) -> str:
    """Build a version of the package, which stops amid an upgrade until it may go on; return its path."""
    root = bench.scratch / version
    place = root / _PLACE.relative_to("/")
    place.mkdir(parents=True)
    for source, target in (("loaded", "daemon"), ("library.so", "library.so")):
        shutil.copy(bench.programs / source, place / target)
        # What follows the sections is of no interest to anybody, and makes another file.
        with (place / target).open("ab") as file:
            file.write(version.encode())
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        f"Package: {_NAME}\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: none <none@example.com>\nDescription: a daemon to be upgraded\n",
        encoding="utf-8",
    )
    (control / "postinst").write_text(_SCRIPT.format(scratch=bench.scratch), encoding="utf-8")
    (control / "postinst").chmod(0o755)
    run("dpkg-deb", "--root-owner-group", "--build", str(root), f"{root}.deb")
    return f"{root}.deb"


def install(bench: Bench, package: str) -> None:
    """Install a package that ``build`` returned, and remove it when the technique is ended."""
    bench.resources.callback(run, "dpkg", "--purge", _NAME)
    run("dpkg", "--install", package)
