# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook remove on a host with rules, locks, openings, audit rules and a baseline, which it reaches by SSH."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import apply, options
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups

from tests.integration.jit_access._jit import defaults
from tests.integration.remove import _desk
from tests.integration.remove._desk import Desk, changed, digests
from tests.support import audit
from tests.support.controllers import Controller

pytestmark = [pytest.mark.requires(*_desk.NEEDS, "command:auditd"), pytest.mark.xdist_group("audit")]

_SETTINGS = ("enabled", "backlog_limit", "backlog_wait_time", "failure")


def _record(desk: Desk, file: pathlib.Path) -> None:
    groups = rule_groups.chosen_groups(["time", "power"], [], [])
    params = {
        **defaults(options.apply_spec()),
        "_groups": groups,
        "rules_file": str(file),
        "state_dir": str(desk.state),
    }
    assert apply.apply(params, False)["changed"]


def test_everything_is_as_before_and_a_second_run_changes_nothing(
    tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]
) -> None:
    etc = tmp_path / "etc" / "audit"
    file = etc / "rules.d" / "70-bulwark.rules"
    file.parent.mkdir(parents=True)
    (file.parent / "own.rules").write_text("-w /etc/passwd\n")
    with (
        audit.locked() as kernel,
        audit.daemon(tmp_path, kernel),
        _desk.desk(tmp_path, controller("2.21")) as desk,
    ):

        def seen() -> tuple[t.Any, ...]:
            settings = kernel.status()
            return kernel.rules(), [settings.get(name) for name in _SETTINGS], desk.tables(), digests(etc)

        kernel.add("-a always,exit -S reboot -F key=own")
        before = seen()
        desk.take_baseline()
        _record(desk, file)
        desk.deploy()
        # Code and answers of scans are there wherever the state of capabilities is; the rest is not of this deployment.
        for name in ("scan/code-1", "jit/policy.json"):
            (desk.default / name).parent.mkdir(parents=True, mode=0o700)
            (desk.default / name).touch(0o600)
        desk.default.chmod(0o700)
        assert [one == two for one, two in zip(seen(), before, strict=True)] == [False] * 4
        assert desk.seals() == ["default"]
        assert desk.requests() == ["open"]
        state = digests(desk.state)

        said = desk.remove_all("--check", "--diff", audit_rules_file=str(file))
        names = ("audit", "file_integrity", "firewall", "jit", "network_rules", "traffic")
        would = "Would be removed: network rules; locked ports (open for somebody until now: 1); audit rules ("
        assert would in said
        for name in names:
            assert f"-{desk.state}/{name}/" in said
            assert f"; {desk.state}/{name}" in said
        assert kernel.rules() != before[0]
        assert desk.tables().count("table inet bulwark_") == 3
        assert digests(desk.state) == state
        assert desk.seals() == ["default"]

        said = desk.remove_all(audit_rules_file=str(file))
        assert would.replace("Would be removed", "Removed") in said
        assert seen() == before
        assert not desk.state.exists()
        assert sorted(digests(desk.default)) == ["jit", "jit/policy.json"]
        assert desk.seals() == []
        assert desk.requests() == ["closed"]
        stays = "packages: nftables (others may use them); packages: auditd (others may use them); the audit log"
        other = "/var/lib/bulwark/jit: it is state of another capability, which was not selected"
        assert f"Left: {stays}; {other}; the findings of this host in the store." in said
        for someone in (desk.site.friend, desk.site.stranger):
            assert someone.connects(desk.site.host, 22)

        again = desk.remove_all(audit_rules_file=str(file))
        assert changed(again) == 0
        assert "Removed: nothing, as nothing was there." in again
        assert not desk.state.exists()
