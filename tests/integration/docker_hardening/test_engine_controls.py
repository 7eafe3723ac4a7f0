# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls of host, settings, files and images on real engines: controls_host.yml and controls_engine.yml."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml

from tests.integration.docker_hardening import _engine_hosts as hosts

pytestmark = [
    pytest.mark.requires("root", "docker", "command:dockerd", "command:unshare", "command:nsenter", "command:ip"),
    pytest.mark.requires("command:busybox", "command:iptables-nft", "command:openssl"),
    pytest.mark.xdist_group("docker_hardening"),
]

DECIDED: t.Mapping[str, t.Any] = {
    "trusted_users": ["root"],
    "registries": ["registry.example"],
    "image_age": 30,
    "log_drivers": ["syslog"],
    "seccomp": ["builtin"],
    "authorization": ["own"],
}
CASES: dict[str, list[dict[str, t.Any]]] = {
    control: entry["cases"]
    for name in ("controls_host.yml", "controls_engine.yml")
    for control, entry in yaml.safe_load(pathlib.Path(__file__).with_name(name).read_text(encoding="utf-8")).items()
    if entry["cases"]
}
Runs = t.Mapping[str, t.Mapping[str, t.Mapping[str, t.Any]]]


@pytest.fixture(scope="module")
def runs() -> Runs:
    """Return the results of all runs: by the run's name, then by the id of the control."""
    found: dict[str, t.Mapping[str, t.Any]] = {}
    with hosts.loose() as host:
        found["loose"] = hosts.controls(host)
        found["loose_decided"] = hosts.controls(host, **DECIDED)
        hosts.change_settings(host, {"no-new-privileges": True, "userland-proxy": False})
        found["loose_changed"] = hosts.controls(host)
    with hosts.tight() as host:
        found["tight"] = hosts.controls(host)
        found["tight_decided"] = hosts.controls(host, **DECIDED)
    return found


@pytest.mark.parametrize("control", CASES)
def test_a_control_is_judged_on_real_engines(control: str, runs: Runs) -> None:
    for case in CASES[control]:
        result = runs[case["run"]][control]
        shown = [f"{item['name']}: {item['detail']}" for item in result["items"]]
        assert result["status"] == case["status"], (case, result)
        assert any(text.startswith(case.get("shows", text)) for text in shown or [""]), (case, shown)


def test_no_secret_leaves_the_host(runs: Runs) -> None:
    assert hosts.SECRET not in json.dumps(runs["loose"])


def test_what_waits_for_a_restart_is_said(runs: Runs) -> None:
    changed = runs["loose_changed"]
    assert changed["docker_new_privileges_allowed"]["reason"].endswith("A restart is pending.")
    assert changed["docker_userland_proxy_on"]["status"] == "not_checked"
    assert changed["docker_userland_proxy_on"]["reason"].endswith("A restart is pending.")
    assert changed["docker_api_without_tls"]["status"] == "not_checked"
