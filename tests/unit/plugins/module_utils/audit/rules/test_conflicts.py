# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and settings of others that keep something out of the log, whatever they are conditioned on."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import detect, plan
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.state import Note
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import Status

HOST = text.Host("x86_64", is_directory=lambda path: not path.endswith("shadow"))
OURS = [
    text.parse(line, HOST)
    for line in (
        "-a always,exit -F arch=b64 -S execve -k bulwark-exec",
        "-a always,exit -F arch=b64 -S open,openat,unlink -F dir=/etc/ssh -F perm=wa -k bulwark-ssh",
        "-a always,exit -F arch=b64 -S open,openat -F path=/etc/shadow -F perm=r -k bulwark-credentials",
        "-a always,exit -F arch=b64 -S kill -k bulwark-signals",
        "-a always,exit -F arch=b64 -S ptrace -k bulwark-ptrace",
    )
]
STATUS = Status(1, 1, 1, 0, 8192, 0, 0, 0)


def conflicts(line: str) -> int:
    return len(plan.conflicts_of([text.parse(line, HOST)], OURS))


@pytest.mark.parametrize(
    "line",
    [
        "-a never,exit -F arch=b64 -S execve -F success=1",
        "-a never,exit -S all -F exit>=-4095",
        "-a never,exit -S all -F a0>=0",
        "-a never,exit -S all -F pers=0",
        "-a never,exit -S all -F inode>0",
        "-a never,exit -S all -F devmajor>=0",
        "-a never,exit -S all -F dir=/etc",
        "-a never,exit -S all -F dir=/etc/ssh/sshd_config.d -F perm=wa",
        "-a never,exit -S all -F path=/etc/shadow -F perm=r",
        "-a never,exit -S all -F dir=/dev/shm",
        "-a never,exit -S all -F subj_type=unconfined_t",
        "-a never,filesystem -F fstype=0xEF53",
        "-a never,filesystem -F fstype!=0x74726163",
    ],
)
def test_a_rule_that_hides_something_is_a_conflict(line: str) -> None:
    assert conflicts(line) == 1


@pytest.mark.parametrize(
    "line",
    [
        "-a never,exit -F arch=b64 -S adjtimex -F auid=unset -F uid=0 -F subj_type=chronyd_t",
        "-a never,exit -F arch=b64 -S kill -F exe=/usr/sbin/cron",
        "-a never,exit -S all -F dir=/var/lock/lvm -F perm=wa",
        "-a never,exit -F arch=b64 -S mkdir -F success=1",
        "-a never,filesystem -F fstype=0x74726163",
        "-a always,exit -F arch=b64 -S all -F dir=/etc",
    ],
)
def test_a_rule_that_hides_what_nobody_looks_for_is_none(line: str) -> None:
    assert conflicts(line) == 0


@pytest.mark.parametrize("setting", [{"rate_limit": 1}, {"backlog_limit": 1}])
def test_a_kernel_that_drops_records_is_not_as_it_should_be(setting: dict[str, int]) -> None:
    note = Note(rules=tuple(OURS), before={}, digest=None, complete=True)
    made = plan.make(OURS, OURS, frozenset(OURS))
    for status, expected in ((STATUS, []), (dataclasses.replace(STATUS, **setting), ["audit_switched_off"])):
        seen = detect.Seen("x86_64", status, OURS, made, (), note, "/x", True)
        assert [found["alert"] for found in detect.detections(seen)] == expected
