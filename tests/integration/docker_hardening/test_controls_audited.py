# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls about audit rules, on a real engine and with the rules of a real kernel."""

from __future__ import annotations

import typing as t

import pytest

from tests.integration.docker_hardening import _cases

if t.TYPE_CHECKING:
    from tests.integration.docker_hardening.conftest import Runs

pytestmark = [
    pytest.mark.requires(
        "root", "docker", "command:dockerd", "command:unshare", "command:nsenter", "command:setpriv", "command:ip"
    ),
    pytest.mark.requires("command:auditctl", "command:iptables-nft", "command:busybox", "command:containerd"),
    pytest.mark.xdist_group("audit"),
]


@pytest.mark.parametrize("control", _cases.AUDITED)
def test_what_the_kernel_watches_is_judged(control: str, audited_runs: Runs) -> None:
    _cases.check(control, audited_runs)


def test_mounts_are_named_as_their_engine_has_them(audited_runs: Runs) -> None:
    outside = audited_runs["outside"]
    expected = {
        "docker_container_mounts_system_directory": "/etc on /e (ro)",
        "docker_container_mounts_engine_socket": "/run with /run/docker.sock on /r",
    }
    for control, detail in expected.items():
        assert [item["detail"] for item in outside[control]["evidences"]] == [detail], outside[control]


def test_nothing_is_unknown_about_rules_that_can_be_read(audited_runs: Runs) -> None:
    assert [each for each in _cases.unknown(audited_runs) if each[0] != "outside"] == []
