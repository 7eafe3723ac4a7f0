# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capabilities say of themselves is so, and what lists them by hand has all of them."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils import _checkpoint, _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import coverage, summary

from tests.support import paths
from tests.unit.plugins.plugin_utils.report import samples

ALL = list(capabilities.load().values())
_STATE = re.compile(r'^_?CAPABILITY = "(\w+)"$', re.MULTILINE)


@pytest.fixture(params=ALL, ids=lambda capability: capability.id)
def capability(request: pytest.FixtureRequest) -> Capability:
    found: Capability = request.param
    return found


def test_each_has_a_role_and_nothing_else_has() -> None:
    assert {capability.id for capability in ALL} == {path.name for path in (paths.ROOT / "roles").iterdir()}


def test_each_that_judges_hosts_has_alerts_and_nothing_else_has() -> None:
    """What works on request explains the findings of the others."""
    judging = {capability.id for capability in ALL if not capability.on_request}
    assert judging == {alert.capability for alert in catalogue.load()} - set(catalogue.SHARED)


def test_a_role_has_the_tasks_of_exactly_the_playbooks_that_call_it(capability: Capability) -> None:
    tasks = {path.stem for path in (paths.ROOT / "roles" / capability.id / "tasks").iterdir()}
    assert tasks & set(capabilities.PLAYBOOKS) == set(capability.playbooks)


def _mappings(value: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Yield each mapping in a file of tasks, however deep."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(item)


def _scopes_of_a_whole_host(role: str) -> list[str]:
    """Return the scopes that a role records for an unknown platform, and for a failure of all that it does."""
    directory = paths.ROOT / "roles" / role / "tasks"
    files = [file for file in (directory / "unsupported.yml", directory / "Linux.yml") if file.exists()]
    tasks = [task for file in files for task in _mappings(yaml.safe_load(file.read_text(encoding="utf-8")))]
    recorded = [entry["scope"] for task in tasks for entry in task.get("coverage", ())]
    scopes = recorded + [task[f"{role}_scope"] for task in tasks if f"{role}_scope" in task]
    assert len(scopes) == len(files)
    return scopes


def test_a_host_that_a_role_cannot_check_is_a_gap_of_the_whole_capability(capability: Capability) -> None:
    """With the scope of one part, the report would say nothing of the others."""
    for scope in _scopes_of_a_whole_host(capability.id):
        entry = samples.coverage(capability=capability.id, scope=scope, status=_finding.NOT_CHECKED, reason="Why.")
        shown = coverage.matrix([entry])
        assert [gap.scopes for gap in coverage.gaps([entry], shown)] == [()]
        assert summary.looked([entry], shown) == "1 of 1 host was not checked at all: Why."


def test_what_roles_do_when_they_fail_differs_only_in_their_names() -> None:
    files = (paths.ROOT / "roles").glob("*/tasks/failed.yml")
    assert len({file.read_text(encoding="utf-8").replace(file.parts[-3], "ROLE") for file in files}) == 1


def test_its_alerts_are_of_its_platforms(capability: Capability) -> None:
    alerts = [alert for alert in catalogue.load() if alert.capability == capability.id]
    expected = set() if capability.on_request else set(capability.platforms)
    assert {platform for alert in alerts for platform in alert.platforms} == expected


def test_its_state_is_what_its_modules_keep(capability: Capability) -> None:
    files = (paths.ROOT / "plugins" / "module_utils" / capability.id).rglob("*.py")
    texts = [file.read_text(encoding="utf-8") for file in files]
    kept = {name for text in texts for name in _STATE.findall(text)}
    if any("_checkpoint" in text and "directory=CAPABILITY" not in text for text in texts):
        kept.add(_checkpoint.DIRECTORY)
    assert kept == set(capability.state)


def test_the_readme_has_each_by_the_name_that_defender_has_for_it(capability: Capability) -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| Linux", (paths.ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert (capability.title[0].lower() + capability.title[1:], capability.defender) in rows
    assert len(rows) == len(ALL)
