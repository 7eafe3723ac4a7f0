# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many questions about a host: of an audit tool, whose subshells are in no record, and of somebody who hides as one."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader

from tests.content.audit import harness
from tests.support.recorded import Recorder

_QUESTIONS = (
    ["id"],
    ["uname", "-a"],
    ["ps", "aux"],
    ["ss", "-tlpn"],
    ["ip", "addr"],
    ["last"],
    ["crontab", "-l"],
    ["lsmod"],
    ["mount"],
    ["w"],
    ["lsblk"],
)


def log_of(user: str, script: str, in_subshells: bool) -> Recorder:
    """Return the log of a session in which a shell runs a script that asks."""
    log = Recorder(user=user)
    log.sign_in(0 if user == "root" else 990, 5, "pts0")
    typed = log.execute("/usr/bin/bash", ["-bash"], log.fork(log.init))
    asking = log.execute("/usr/bin/dash", ["/bin/sh", script], typed, script=script)
    log.execute("/usr/bin/sed", ["sed", "-n", "1p"], asking)
    for question in _QUESTIONS:
        log.execute(f"/usr/bin/{question[0]}", question, log.fork(asking) if in_subshells else asking)
    return log


def severity(log: Recorder) -> list[str]:
    reader = Reader(harness.rules().payload, {})
    reader.read(log.text())
    reader.finish(4e9)
    found, _left = reader.tally.detections(50)
    return [detection["severity"] for detection in found if detection["alert"] == "discovery_burst"]


@pytest.mark.parametrize("in_subshells", [False, True])
def test_an_audit_tool_of_root_is_explained_and_shown(in_subshells: bool) -> None:
    assert severity(log_of("root", "/usr/sbin/lynis", in_subshells)) == ["informational"]


@pytest.mark.parametrize("in_subshells", [False, True])
@pytest.mark.parametrize(
    ("user", "script"), [("root", "/tmp/usr/sbin/lynis"), ("root", "/root/lynis audit"), ("bob", "/usr/sbin/lynis")]
)
def test_what_only_has_its_name_or_is_no_root_s_is_an_alarm(user: str, script: str, in_subshells: bool) -> None:
    assert severity(log_of(user, script, in_subshells)) == ["medium"]


def test_what_is_typed_while_an_audit_tool_runs_is_an_alarm() -> None:
    log = Recorder(user="root")
    log.sign_in(0, 5, "pts0")
    typed = log.execute("/usr/bin/bash", ["-bash"], log.fork(log.init))
    tool = log.execute("/usr/bin/dash", ["/bin/sh", "/usr/sbin/lynis"], typed, script="/usr/sbin/lynis")
    for question in _QUESTIONS:
        log.execute("/usr/bin/sed", ["sed", "-n", "1p"], tool)
        log.execute(f"/usr/bin/{question[0]}", question, typed)
    assert severity(log) == ["medium"]
