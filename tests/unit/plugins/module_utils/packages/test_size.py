# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The largest host that the package databases are made for: 3,000 packages with 300,000 paths."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from tests.support import paths

PACKAGES = 3000
PATHS = 100

MEASURE = """
import json, os, resource, sys, time
from ansible_collections.bulwark.servers.plugins.module_utils.packages import databases

def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before, start = memory(), time.process_time()
databases = databases.load_packages(os.fsencode(sys.argv[1]))
assert databases.owner(b"/nothing") is None
loaded = time.process_time() - start
for number in range(0, 3000, 3):
    owned = databases.owner(b"/usr/share/package-%04d/directory/file-000050.data" % number)
    assert owned.digests["md5"] == "%032x" % (number * 100 + 50), owned
databases.snapshot()
print(json.dumps({"load_s": loaded, "grown_mb": (memory() - before) / 1024}))
"""


@pytest.fixture(name="root")
def _root(tmp_path: pathlib.Path) -> pathlib.Path:
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    status = []
    for package in range(PACKAGES):
        names = [f"usr/share/package-{package:04}/directory/file-{number:06}.data" for number in range(PATHS)]
        sums = [f"{package * PATHS + number:032x}  {name}\n" for number, name in enumerate(names)]
        (info / f"package-{package:04}.list").write_text("/.\n" + "".join(f"/{name}\n" for name in names))
        (info / f"package-{package:04}.md5sums").write_text("".join(sums))
        status.append(
            f"Package: package-{package:04}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"
            f"Depends: {'libc6 (>= 2.38), ' * 20}\nDescription: one of many\n {'text ' * 60}\n"
        )
    (tmp_path / "var/lib/dpkg/status").write_text("\n".join(status))
    return tmp_path


def test_the_largest_host_loads_within_a_second_and_60_mb(root: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(root)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(paths.COLLECTIONS), "PATH": "/usr/bin"},
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["load_s"] < 1.0
    assert measured["grown_mb"] < 60.0
