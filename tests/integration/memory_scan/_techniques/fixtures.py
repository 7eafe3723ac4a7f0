# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench as pytest sees it: programs are built once for a file of tests, and a test ends what it started."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
import typing as t

import pytest

from tests.integration.memory_scan._techniques.bench import Bench, Programs

NEEDS = ("root", "machine:x86_64", "command:gcc", "command:objcopy")


@pytest.fixture(scope="module")
def programs() -> t.Iterator[Programs]:
    built = Programs()
    try:
        built.build()
        yield built
    finally:
        built.remove()


@pytest.fixture
def bench(programs: Programs) -> t.Iterator[Bench]:
    # Not below pytest's own directory: this is where attackers' files lie.
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bulwark-techniques-", dir="/tmp"))
    scratch.chmod(0o755)
    used = Bench(programs, scratch)
    try:
        yield used
    finally:
        used.close()
        shutil.rmtree(scratch)
