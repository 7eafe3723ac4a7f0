# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan of chosen processes does not pass for one of the host."""

from __future__ import annotations

import contextlib
import os
import subprocess
import typing as t

import pytest

from tests.integration.memory_scan import _memory

# A namespace of processes with nothing in it but the scan itself.
_ALONE = ("unshare", "--pid", "--fork", "--mount-proc")


@contextlib.contextmanager
def _sleeping() -> t.Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _told(result: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    return [(one["subject"], one["reason"]) for one in result["coverage"][0]["skipped"]]


def test_the_host_is_not_checked_by_chosen_pids() -> None:
    with _sleeping() as pid:
        result = _memory.scan(pid, drift=True)
    assert _told(result) == [("processes", _memory.CHOSEN)]
    words = "Only a scan of all processes looks for it, without memory_scan_pids, memory_scan_users, memory_scan_names."
    assert [(entry["scope"], entry["status"], entry["reason"]) for entry in result["coverage"]] == [
        ("processes", "partial", None),
        ("host", "not_checked", words),
        ("drift", "not_checked", words),
    ]


def test_what_is_excluded_comes_last_and_only_where_it_was_chosen() -> None:
    gone = 4_194_304
    with _sleeping() as pid, _sleeping() as other:
        result = _memory.scan(pid, gone, exclude=[pid, os.getpid(), other])
    assert _told(result) == [
        (f"process {gone}", "there is no such process"),
        ("processes", _memory.CHOSEN),
        (f"process {pid}", "it is excluded"),
    ]


@pytest.mark.requires("root", "command:unshare")
def test_an_account_that_a_host_does_not_have_chooses_nothing_and_is_told() -> None:
    with _sleeping() as pid:
        result = _memory.scan(pid, prefix=_ALONE, users=["nobody-is-called-this"])
        assert result["memory_scan"]["processes"] == 0
    unknown = ("users", "this host has no account 'nobody-is-called-this'")
    assert _told(result)[0] == unknown
    alone = _memory.scan(prefix=_ALONE, users=["nobody-is-called-this"])
    assert (alone["memory_scan"]["processes"], alone["detections"]) == (0, [])
    assert _told(alone) == [unknown, ("processes", f"{_memory.CHOSEN}, 0 of 0")]


@pytest.mark.requires("root", "command:unshare")
def test_names_that_match_nothing_are_told_with_how_many_there_are() -> None:
    script = 'sleep 60 & exec "$@"'
    result = _memory.scan(prefix=(*_ALONE, "sh", "-c", script, "sh"), names=["nothing-is-called-this"])
    assert _told(result) == [("processes", f"{_memory.CHOSEN}, 0 of 1")]
