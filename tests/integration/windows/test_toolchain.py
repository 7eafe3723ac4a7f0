# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers of a test run use one Wine prefix at the same time, and nothing of a test's own prefix stays."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from tests.support import paths
from tests.support.windows import compiler, toolchain

pytestmark = [pytest.mark.requires(*toolchain.WINE), pytest.mark.long]

_ROOTS = "HKLM\\SOFTWARE\\Microsoft\\SystemCertificates\\Root\\Certificates"
_WORKERS = 4
_SECONDS = 300
_USE = """
import pathlib, subprocess, sys
from tests.support.windows import toolchain
prefix = pathlib.Path(sys.argv[1])
toolchain.keep_running(prefix)
command = toolchain.wine_command("cmd", "/c", "exit", "7")
ended = subprocess.run(command, env=toolchain.environment(prefix), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
assert ended.returncode == 7, ended.returncode
"""


def test_workers_start_the_services_of_a_prefix_at_once(tmp_path: pathlib.Path) -> None:
    with toolchain.private_prefix(tmp_path / "prefix") as prefix:
        command = [sys.executable, "-c", _USE, str(prefix)]
        workers = [subprocess.Popen(command, cwd=paths.ROOT, stdin=subprocess.DEVNULL) for _ in range(_WORKERS)]
        assert [worker.wait(_SECONDS) for worker in workers] == [0] * _WORKERS
        services = pathlib.Path("/tmp") / (prefix / "wineserver").read_text(encoding="ascii").strip()
        assert services.is_dir()
    assert not services.exists()


def test_programs_of_other_tests_do_not_change_the_root_certificates_of_the_registry() -> None:
    listed = []
    for _ in range(2):
        listed.append(toolchain.reg("query", _ROOTS).splitlines())
        compiler.compile_program([toolchain.ROOT_STORE], compiler.Target.WINDOWS).run()
    assert listed[0] == listed[1]
    assert len(listed[0]) > 1
