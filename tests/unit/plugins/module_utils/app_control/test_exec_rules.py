# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit rules record every execution, or the coverage says which they leave out."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import exec_rules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text

HOST = text.Host("x86_64", is_directory=set().__contains__)
BOTH = ("-a always,exit -F arch=b64 -S execve,execveat -k exec", "-a always,exit -F arch=b32 -S execve,execveat")


def missing(*lines: str) -> str | None:
    return exec_rules.missing([text.parse(line, HOST) for line in lines], "x86_64")


@pytest.mark.parametrize(
    "rules",
    [
        BOTH,
        tuple(rule + " -F success=1" for rule in BOTH),
        ("-a always,exit -S all",),
        ("-a never,exit -F arch=b64 -S adjtimex", *BOTH),
        ("-a always,exit -F arch=b64 -S execve -F auid>=1000", *BOTH),
    ],
)
def test_everything_is_recorded(rules: tuple[str, ...]) -> None:
    assert missing(*rules) is None


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ((), "no audit rule for all executions"),
        (tuple(rule + " -F auid>=1000" for rule in BOTH), "no audit rule for all executions"),
        (tuple(rule + " -F success=0" for rule in BOTH), "no audit rule for all executions"),
        (BOTH[:1], "leave out execve of i386, execveat of i386"),
        (("-a always,exit -F arch=b64 -S execve", BOTH[1]), "leave out execveat of x86_64"),
        (("-a never,exit -F arch=b64 -S execve -F exe=/tmp/x", *BOTH), "leave out execve of x86_64"),
        (("-a never,task", *BOTH), "never,task"),
    ],
)
def test_what_is_left_out_is_said(rules: tuple[str, ...], reason: str) -> None:
    assert reason in (missing(*rules) or "")


def test_an_unknown_machine() -> None:
    assert "riscv64" in (exec_rules.missing([], "riscv64") or "")
