# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary is a program that no list has; what the daemon says is shown on one line."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import canary, daemon


def test_a_canary_runs_where_nobody_refuses_it_and_is_gone_afterwards(tmp_path: pathlib.Path) -> None:
    contents = set()
    for _time in range(2):
        with canary.made(str(tmp_path)) as path:
            contents.add(pathlib.Path(path).read_bytes())
            assert not canary.is_refused(path)
        assert not os.path.exists(path)
    assert len(contents) == 2


def test_what_can_not_be_run_for_another_reason_was_not_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(canary.CanaryError, match="could not be run"):
        canary.is_refused(str(tmp_path / "nothing"))
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\nexit 3\n")
    failing.chmod(0o700)
    with pytest.raises(canary.CanaryError, match="ended with status"):
        canary.is_refused(str(failing))


@pytest.mark.requires("root")
def test_programs_that_nobody_can_run_are_no_proof(tmp_path: pathlib.Path) -> None:
    hidden, usable = tmp_path / "noexec", tmp_path / "usable"
    for directory in (hidden, usable):
        directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "none", str(hidden)], check=True)
    try:
        assert canary.directory([str(tmp_path / "nothing"), str(hidden), str(usable)]) == str(usable)
        with canary.made(str(hidden)) as path, pytest.raises(canary.CanaryError, match="Permission denied"):
            canary.is_refused(path)
    finally:
        subprocess.run(["umount", str(hidden)], check=True)


def test_words_of_the_daemon_are_bounded_and_printable() -> None:
    text = b"\n".join(b"line %d" % number for number in range(100)) + b"\n\x1b[31mred\xff\n"
    words = daemon.quoted(text)
    assert words.startswith(": line 93; ")
    assert words.isprintable()
    assert daemon.quoted(b" \n") == ""


def test_of_what_the_daemon_writes_in_the_foreground_the_errors_are_shown() -> None:
    text = (
        b"11/29/26 15:54:58 [ \x1b[34mDEBUG\x1b[0m ]: allow perm=opn all : all\n"
        b"11/29/26 15:54:58 [ \x1b[31mERROR\x1b[0m ]: Access permission (opn) is unknown in line 19\n"
    )
    assert daemon.quoted(text) == ": Access permission (opn) is unknown in line 19"


def test_a_process_that_decides_about_nothing_is_no_daemon() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            # It is a copy of this interpreter until it is executed.
            while os.path.realpath(f"/proc/{process.pid}/exe") == os.path.realpath("/proc/self/exe"):
                time.sleep(0.001)
            executable = os.path.realpath(f"/proc/{process.pid}/exe")
            assert process.pid in daemon.processes(executable)
            assert not daemon.decides(process.pid)
        finally:
            process.kill()
