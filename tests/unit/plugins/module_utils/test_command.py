# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _command


def shell(script: str, timeout: float = 10.0, max_output: int = 1000) -> _command.Completed:
    return _command.run(["/bin/sh", "-c", script], timeout=timeout, max_output=max_output)


def test_what_a_program_says_comes_back_as_it_is() -> None:
    done = shell("printf 'a\\377b'; printf oops >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"a\xffb", b"oops")


def test_a_program_reads_what_it_is_given_and_need_not() -> None:
    given = b"a\n" * 500_000
    assert _command.run(["wc", "-c"], timeout=10.0, max_output=100, given=given).stdout.strip() == b"1000000"
    assert _command.run(["true"], timeout=10.0, max_output=100, given=given).returncode == 0
    assert _command.run(["cat"], timeout=10.0, max_output=len(given), given=given).stdout == given
    assert _command.run(["cat"], timeout=10.0, max_output=100, given=b"").stdout == b""
    assert shell("cat").stdout == b""
    with pytest.raises(_command.CommandError, match="did not end in time"):
        _command.run(["sleep", "60"], timeout=0.2, max_output=100, given=given)


def test_nothing_of_our_environment_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_AUDIT_PROBE", "secret")
    monkeypatch.setenv("HOME", "/root")
    said = shell("set; cat").stdout
    assert b"secret" not in said
    assert b"HOME='/nonexistent'" in said


def test_a_program_that_does_not_end_is_ended_with_its_children() -> None:
    start = time.monotonic()
    with pytest.raises(_command.CommandError, match="/bin/sh did not end in time"):
        shell("sleep 60 & sleep 60", timeout=0.2)
    assert time.monotonic() - start < 10


def test_a_program_that_closes_its_output_and_stays_is_ended() -> None:
    with pytest.raises(_command.CommandError, match="did not end in time"):
        shell("exec >&- 2>&-; sleep 60", timeout=0.2)


def test_endless_output_ends() -> None:
    with pytest.raises(_command.CommandError, match="wrote more than 1000 bytes"):
        shell("yes")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(_command.CommandError, match="/nonexistent/program can't be run: No such file"):
        _command.run(["/nonexistent/program"], timeout=1.0, max_output=1)


def test_a_program_in_a_pipe_reads_what_it_is_given_and_need_not() -> None:
    taken = []

    def given() -> t.Iterator[bytes]:
        for _number in range(20):
            taken.append(1)
            yield b"a\n" * 50_000

    with _command.piped(["wc", "-c"], 10.0, given()) as stream:
        assert stream.read().strip() == b"2000000"
    with _command.piped(["true"], 10.0, given()) as stream:
        assert stream.read() == b""
    assert len(taken) == 40


def test_a_program_in_a_pipe_that_fails_or_stays_is_an_error() -> None:
    fails = pytest.raises(_command.CommandError, match="/bin/sh ended with status 3")
    with fails, _command.piped(["/bin/sh", "-c", "exit 3"], 10.0, iter(())):
        pass
    start = time.monotonic()
    is_killed = pytest.raises(_command.CommandError, match="ended with status -9")
    with is_killed, _command.piped(["/bin/sh", "-c", "exec >&-; sleep 60 & sleep 60"], 0.2, iter(())) as stream:
        stream.read()
    assert time.monotonic() - start < 10


def test_a_program_in_a_pipe_gets_an_end_where_what_it_is_given_breaks_off() -> None:
    def given() -> t.Iterator[bytes]:
        yield b"begun"
        raise OSError(5, os.strerror(5))

    start = time.monotonic()
    with _command.piped(["cat"], 10.0, given()) as stream:
        assert stream.read() == b"begun"
    assert time.monotonic() - start < 5
