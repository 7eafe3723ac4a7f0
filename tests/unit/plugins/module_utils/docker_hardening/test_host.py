# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines of a host share: the audit rules of the kernel, and what else runs containers."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import Status
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import host
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Watch

_HOST = text.Host("x86_64", lambda _name: None, lambda _name: None)


def _rules(*lines: str) -> list[Rule]:
    rules = []
    for line in lines:
        read = text.parse(line, _HOST)
        assert isinstance(read, Rule), line
        rules.append(read)
    return rules


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["-w /etc/docker.x -k d"], [Watch("/etc/docker.x", False, "rwxa")]),
        (["-w /x -p wa"], [Watch("/x", False, "wa")]),
        (["-a always,exit -F dir=/x -F perm=wa -F key=d"], [Watch("/x", True, "wa")]),
        (["-a always,exit -F arch=b64 -F path=/x -F perm=wa"], [Watch("/x", False, "wa")]),
        (["-a always,exit -F path=/x"], [Watch("/x", False, "rwxa")]),
        (["-a always,exit -F path=/x -F auid>=1000 -F perm=wa"], []),
        (["-a always,exit -F path!=/x"], []),
        (["-a always,exit -F arch=b64 -S openat -F path=/x"], []),
        (["-a never,exit -F path=/x", "-w /x"], []),
        (["-w /x", "-a never,exit -F path=/x"], [Watch("/x", False, "rwxa")]),
        (["-a never,exit -F path=/x -F perm=r", "-w /x -p rwa"], [Watch("/x", False, "wa")]),
        (["-a never,exit -F dir=/x", "-w /x/y -p wa"], []),
        (["-a never,exit -F path=/x/y", "-a always,exit -F dir=/x -F perm=wa"], []),
        (["-a never,exit -F path=/xy", "-a always,exit -F dir=/x -F perm=wa"], [Watch("/x", True, "wa")]),
    ],
)
def test_a_watch_is_a_rule_that_nothing_narrows(lines: list[str], expected: list[Watch]) -> None:
    assert list(host._watches(_rules(*lines))) == expected


@pytest.mark.parametrize(
    ("lines", "is_silenced"),
    [
        (["-a never,task"], True),
        (["-a never,exit"], True),
        (["-a never,task -F auid=0"], False),
        (["-a never,exit -F path=/x"], False),
        (["-a always,exit -F path=/x"], False),
    ],
)
def test_a_rule_may_keep_the_kernel_from_recording_anything(lines: list[str], is_silenced: bool) -> None:
    assert host._is_silenced(_rules(*lines)) == is_silenced


@pytest.mark.parametrize(
    ("groups", "listening", "expected"),
    [
        ([], [], ()),
        (["/machine.slice/libpod-" + "a" * 64 + ".scope"], [], ("Podman",)),
        (["/kubepods/burstable/pod1/" + "a" * 64], [], ("containerd",)),
        (["/kubepods.slice/cri-containerd-" + "a" * 64 + ".scope"], [], ("containerd",)),
        (["/kubepods.slice/crio-" + "a" * 64 + ".scope"], [], ("CRI-O",)),
        (["/lxc.payload.web"], [], ("LXC",)),
        (["/docker/" + "a" * 64, "/system.slice/docker-" + "a" * 64 + ".scope"], [], ()),
        ([], ["/run/podman/podman.sock", "/run/docker.sock"], ("Podman",)),
        ([], ["/run/user/1000/podman/podman.sock"], ("Podman",)),
    ],
)
def test_what_else_runs_containers_is_told(groups: list[str], listening: list[str], expected: tuple[str, ...]) -> None:
    assert tuple(name for name, _evidence in host.other(groups, listening)) == expected


def test_the_kernel_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        def status(self) -> Status:
            return Status(1, 1, 7, 0, 64, 0, 0, None)

        def rules(self) -> list[Rule]:
            return _rules("-w /x -p wa")

    def connected() -> t.Any:
        return contextlib.nullcontext(Kernel())

    monkeypatch.setattr(host.netlink, "connected", connected)
    assert host.audit() == host.Audit(True, (Watch("/x", False, "wa"),))
