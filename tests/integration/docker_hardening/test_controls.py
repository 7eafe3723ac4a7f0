# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each control on real engines: what fails it there, what passes it, and what a person has to decide (controls.yml)."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect.judge import CHECKS

from tests.support import paths

if t.TYPE_CHECKING:
    from tests.integration.docker_hardening.conftest import Runs

pytestmark = [
    pytest.mark.requires("root", "docker", "command:dockerd", "command:unshare", "command:nsenter", "command:ip"),
    pytest.mark.requires("command:busybox", "command:iptables-nft"),
    pytest.mark.xdist_group("docker_hardening"),
]

CONTROLS: dict[str, dict[str, t.Any]] = yaml.safe_load(
    pathlib.Path(__file__).with_name("controls.yml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_judged_on_real_engines(control: str, runs: Runs) -> None:
    for case in CONTROLS[control]["cases"]:
        result = runs[case["run"]][control]
        shown = [f"{item['name']}: {item['detail']}" for item in result["items"]]
        assert result["status"] == case["status"], (case, result)
        assert any(text.startswith(case.get("shows", text)) for text in shown or [""]), (case, shown)


def test_nothing_is_unknown_about_engines_that_answer(runs: Runs) -> None:
    unknown = [(run, each) for run, found in runs.items() for each in found.values() if each["status"] == "not_checked"]
    assert unknown == []


def test_every_control_has_a_test_that_exists() -> None:
    assert CONTROLS.keys() == CHECKS.keys()
    assert all(
        (paths.ROOT / each[key]).is_file() for each in CONTROLS.values() for key in ("test", "also") if key in each
    )
    for control, each in CONTROLS.items():
        statuses = {case["status"] for case in each["cases"]}
        # A person's is shown by its evidence.
        is_shown = {"failed", "passed"} <= statuses or "manual" in statuses
        assert is_shown or each["kind"] == "recorded" or "also" in each, control
