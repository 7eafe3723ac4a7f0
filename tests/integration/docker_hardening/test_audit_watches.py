# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel audits of a real engine, which is one of this machine: a kernel tells its rules to no namespace."""

from __future__ import annotations

import collections
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import collect_spec

from tests.integration.docker_hardening._own_engine import own_engine
from tests.support import audit

pytestmark = [
    pytest.mark.requires("root", "docker", "command:dockerd", "command:auditctl"),
    pytest.mark.xdist_group("audit"),
]


def _audited(address: str) -> dict[str, dict[str, t.Any]]:
    """Return the controls of one engine that ask what is audited."""
    params = {name: option.get("default") for name, option in collect_spec().items()}
    result = collect({**params, "priority": "normal"}, True)
    return {
        each["control"]: each
        for each in result["controls"]
        if each["control"].startswith("docker_audit_") and each["subject"] == address
    }


def test_a_path_is_audited_once_the_kernel_watches_it(tmp_path: pathlib.Path) -> None:
    with own_engine(tmp_path) as address, audit.locked() as kernel:
        kernel.control("-D")
        kernel.control("-e", "1")
        before = _audited(address)
        failed = {control for control, each in before.items() if each["status"] == "failed"}
        # A distribution need not have the older shims, nor a file of options; no unit starts this engine.
        assert len(before) == 16
        assert failed >= {
            "docker_audit_daemon",
            "docker_audit_data",
            "docker_audit_socket",
            "docker_audit_daemon_json",
            "docker_audit_containerd",
            "docker_audit_containerd_socket",
            "docker_audit_runc",
        }
        assert {each["status"] for each in before.values()} <= {"failed", "not_applicable"}
        paths = sorted({item["name"] for control in failed for item in before[control]["items"]})
        for permissions, status in (("w", "failed"), ("wa", "passed")):
            kernel.control("-D")
            for path in paths:
                kernel.control("-w", path, "-p", permissions, "-k", "bulwark-test")
            now = _audited(address)
            assert collections.Counter(now[control]["status"] for control in failed) == {status: len(failed)}
        kernel.control("-e", "0")
        off = _audited(address)
        assert {off[control]["status"] for control in failed} == {"failed"}
        assert "auditing is off" in off["docker_audit_daemon"]["items"][0]["detail"]
