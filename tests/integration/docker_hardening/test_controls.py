# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each control on real engines: what fails it there, what passes it, and what a person has to decide."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.judge import CHECKS

from tests.integration.docker_hardening import _cases, _configurations
from tests.integration.docker_hardening._cases import AUDITED, CONTROLS
from tests.support import paths

if t.TYPE_CHECKING:
    from tests.integration.docker_hardening.conftest import Runs

pytestmark = [
    pytest.mark.requires(
        "root", "docker", "command:dockerd", "command:unshare", "command:nsenter", "command:setpriv", "command:ip"
    ),
    pytest.mark.requires("command:busybox", "command:iptables-nft", "command:openssl", "command:containerd"),
    pytest.mark.xdist_group("docker_hardening"),
]


@pytest.mark.parametrize("control", [control for control in CONTROLS if control not in AUDITED])
def test_a_control_is_judged_on_real_engines(control: str, runs: Runs) -> None:
    _cases.check(control, runs)


def test_no_secret_leaves_the_host(runs: Runs) -> None:
    assert "DB_PASSWORD" in json.dumps(runs)
    assert _configurations.SECRET not in json.dumps(runs)


def test_a_swarm_publishes_ports_on_all_interfaces(runs: Runs) -> None:
    for control in ("publishes_privileged_port", "port_on_all_interfaces", "publishes_unneeded_port"):
        items = runs["published_swarm"][f"docker_container_{control}"]["evidences"]
        assert [item["detail"] for item in items] == ["0.0.0.0:443/tcp to 80"], control


def test_what_waits_for_a_restart_is_said(runs: Runs) -> None:
    changed = runs["careless_changed"]
    # The engine tells what is in force of some settings; the file that it read is gone.
    privileges, proxy = changed["docker_new_privileges_allowed"], changed["docker_userland_proxy_on"]
    assert (privileges["status"], proxy["status"]) == ("failed", "not_checked")
    assert all(each["reason"].endswith("A restart is pending.") for each in (privileges, proxy))
    assert changed["docker_api_without_tls"]["status"] == "not_checked"


def test_nothing_is_unknown_about_engines_that_answer(runs: Runs) -> None:
    # The kernel tells audit rules to the first PID namespace only.
    answered = {run: results for run, results in runs.items() if run != "careless_changed"}
    assert [each for each in _cases.unknown(answered) if each[1] not in AUDITED] == []


def test_every_control_has_a_test_that_exists() -> None:
    assert CONTROLS.keys() == CHECKS.keys()
    for control, each in CONTROLS.items():
        assert all((paths.ROOT / each[key]).is_file() for key in ("test", "also") if key in each), control
        # A person's is shown by its evidence.
        statuses = {case["status"] for case in each["cases"]}
        is_shown = {"failed", "passed"} <= statuses or "manual" in statuses
        assert is_shown or each["kind"] == "recorded" or "also" in each, control
