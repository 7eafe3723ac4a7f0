# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scans without root: what can't be opened for want of rights is told, and is no sign of anything."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import pytest

from tests.integration.memory_scan import _memory
from tests.support import give_up

pytestmark = pytest.mark.requires("root", "command:setpriv")

_NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")


@pytest.fixture
def place() -> t.Iterator[pathlib.Path]:
    """Return a directory that everybody can look into."""
    with tempfile.TemporaryDirectory(prefix="unprivileged-") as directory:
        place = pathlib.Path(directory)
        place.chmod(0o755)
        yield place


@contextlib.contextmanager
def _started(*command: str, **environment: str) -> t.Iterator[int]:
    """Start a program as nobody that says a line when it is ready."""
    with subprocess.Popen(
        [*_NOBODY, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment}
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"ready\n")
            process.stdin.flush()
            process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def _seen(pid: int, *prefix: str) -> tuple[set[str], list[str]]:
    result = _memory.scan(pid, prefix=prefix)
    return {sign["subtype"] for sign in _memory.signs(result)}, _memory.skipped(result)


def test_a_deleted_executable_is_no_code_from_elsewhere(place: pathlib.Path) -> None:
    program = shutil.copy("/usr/bin/cat", place / "x")
    with _started(program) as pid:
        os.unlink(program)
        assert _seen(pid, *_NOBODY) == ({"deleted_executable"}, [])


def test_an_engine_is_recognised_by_a_file_that_can_be_opened_by_its_name() -> None:
    with _started("grep", "--line-buffered", "-P", "r[ae]+dy") as pid:
        assert _seen(pid, *_NOBODY) == (set(), [])


def test_code_is_not_held_against_who_may_have_an_engine(place: pathlib.Path) -> None:
    linked = subprocess.run(["ldd", shutil.which("grep") or "grep"], stdout=subprocess.PIPE, text=True, check=True)
    found = [line.split()[2] for line in linked.stdout.splitlines() if "libpcre2-8" in line]
    if not found:
        give_up("this grep has no libpcre2")
    library = place / os.path.basename(found[0])
    shutil.copy(found[0], library)
    with _started("grep", "--line-buffered", "-P", "r[ae]+dy", LD_LIBRARY_PATH=str(place)) as pid:
        library.unlink()
        subtypes, skipped = _seen(pid, *_NOBODY)
        assert "anonymous_code" not in subtypes
        assert any("it is not known what generates the code in its memory" in reason for reason in skipped)
        assert any("the files that it has mapped: Operation not permitted; run as root" in one for one in skipped)
        # Root sees that it is the engine's.
        subtypes, skipped = _seen(pid)
        assert "anonymous_code" not in subtypes
        assert skipped == []
