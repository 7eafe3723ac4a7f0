# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment is set up from a bare Python, by real installs, whatever happens in between."""

from __future__ import annotations

import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.fleet import images
from tests.fleet.engine import Engine
from tests.support import paths, require
from tests.support.fresh_root import FreshRoot

# The smallest package that the environment can be asked for.
_PACKAGE = "packaging>=24"


def _bootstrap(environment: pathlib.Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(paths.ROOT / "tools" / "bootstrap.py"), str(environment), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def _imports(environment: pathlib.Path, module: str) -> bool:
    return subprocess.run([environment / "bin" / "python", "-c", f"import {module}"], check=False).returncode == 0


def test_it_works_once_and_again_only_when_something_changed(tmp_path: pathlib.Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"{_PACKAGE}\n", encoding="utf-8")
    environment = tmp_path / "with a space" / "env"
    assert "Setting up" in _bootstrap(environment, "-r", str(requirements)).stderr
    assert _imports(environment, "packaging")
    assert _bootstrap(environment, "-r", str(requirements)).stderr == ""
    requirements.write_text(f"{_PACKAGE}\niniconfig\n", encoding="utf-8")
    assert "Setting up" in _bootstrap(environment, "-r", str(requirements)).stderr
    assert _imports(environment, "iniconfig")


def test_a_set_up_that_was_killed_is_done_again(tmp_path: pathlib.Path) -> None:
    environment = tmp_path / "env"
    command = [sys.executable, str(paths.ROOT / "tools" / "bootstrap.py"), str(environment), "--package", _PACKAGE]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while not (environment / "bin" / "python").exists():
        assert started.poll() is None
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert not _imports(environment, "packaging")
    _bootstrap(environment, "--package", _PACKAGE)
    assert _imports(environment, "packaging")


def test_of_several_at_once_one_works(tmp_path: pathlib.Path) -> None:
    environment = tmp_path / "env"
    command = [sys.executable, str(paths.ROOT / "tools" / "bootstrap.py"), str(environment), "--package", _PACKAGE]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _number in range(3)]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sum("Setting up" in one for one in said) == 1
    assert _imports(environment, "packaging")


def test_what_fails_is_said_in_one_sentence(tmp_path: pathlib.Path) -> None:
    absent = _bootstrap(tmp_path / "env", "-r", str(tmp_path / "no.txt"), check=False)
    assert absent.returncode == 1
    assert absent.stderr == f"bootstrap: the requirements file {tmp_path / 'no.txt'} does not exist\n"


def test_without_a_python_the_package_to_install_is_named(tmp_path: pathlib.Path) -> None:
    command = ["/bin/sh", str(paths.ROOT / "tools" / "python.sh")]
    answer = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("No Python 3.11 or newer")
    assert answer.stderr.count("\n") == 1


@pytest.fixture
def fresh_root(docker_engine: Engine, tmp_path: pathlib.Path) -> t.Iterator[FreshRoot]:
    """A Debian that has Python without venv's ensurepip, as Debian ships it, and no pip and no Ansible."""
    require("fleet", "command:unshare", "command:git")
    images.ensure(docker_engine, ["trixie"])
    container = docker_engine("create", images.tag("trixie"), "true")
    directory = tmp_path / "root"
    directory.mkdir()
    try:
        archive = tmp_path / "root.tar"
        docker_engine("export", "--output", str(archive), container)
        subprocess.run(["tar", "-C", directory, "--numeric-owner", "-xf", archive], check=True)
        archive.unlink()
    finally:
        docker_engine("rm", container)
    yield FreshRoot(directory)
    subprocess.run(["rm", "-rf", "--one-file-system", directory], check=True)


def test_a_fresh_debian_scans_itself_with_make_and_python_alone(fresh_root: FreshRoot) -> None:
    fresh_root.run("apt-get update -qq && apt-get install -y -qq --no-install-recommends make")
    assert fresh_root.run("python3 -c 'import ensurepip'", check=False).returncode == 1
    checkout = fresh_root.add_checkout()
    # Of all processes only the shell's own is looked into: others are not of this test.
    command = f'cd {checkout} && make scan ARGS="-e memory_scan_pids=$$"'
    first, set_up_and_scan = _timed(fresh_root, command)
    second, scan = _timed(fresh_root, command)
    for answer in (first, second):
        assert f"Report: {checkout}/.build/report/scan.html" in answer
    assert set_up_and_scan < 90
    assert scan < 15


def _timed(root: FreshRoot, script: str) -> tuple[str, float]:
    """Run a script as the user and return its output and the processor time in seconds that it took.

    Not the time on the clock, which depends on what the other tests are doing on these cores.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = root.run(script, user="someone").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return said, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_fresh_debian_without_package_lists_or_archive_says_what_to_install(fresh_root: FreshRoot) -> None:
    checkout = fresh_root.add_checkout()
    set_up = f"cd {checkout} && python3 tools/bootstrap.py .build/env --package '{_PACKAGE}'"
    fresh_root.run(set_up, user="someone")  # it reads lists of its own
    fresh_root.run("rm /etc/apt/sources.list; rm -rf /home/someone/checkout/.build")
    answer = fresh_root.run(set_up, user="someone", check=False)
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1].endswith("run 'apt-get install python3-venv'")
