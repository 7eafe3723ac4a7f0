# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capabilities say of themselves is so, and what lists them by hand has all of them."""

from __future__ import annotations

import re

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _checkpoint
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability

from tests.support import paths

ALL = list(capabilities.load().values())
_STATE = re.compile(r'^_?CAPABILITY = "(\w+)"$', re.MULTILINE)


@pytest.fixture(params=ALL, ids=lambda capability: capability.id)
def capability(request: pytest.FixtureRequest) -> Capability:
    found: Capability = request.param
    return found


def test_each_has_a_role_and_alerts_and_nothing_else_has() -> None:
    names = {capability.id for capability in ALL}
    assert names == {path.name for path in (paths.ROOT / "roles").iterdir()}
    assert names == {alert.capability for alert in catalogue.load()}


def test_a_role_has_the_tasks_of_exactly_the_playbooks_that_call_it(capability: Capability) -> None:
    tasks = {path.stem for path in (paths.ROOT / "roles" / capability.id / "tasks").iterdir()}
    assert tasks & set(capabilities.PLAYBOOKS) == set(capability.playbooks)


def test_its_alerts_are_of_its_platforms(capability: Capability) -> None:
    alerts = [alert for alert in catalogue.load() if alert.capability == capability.id]
    assert {platform for alert in alerts for platform in alert.platforms} == set(capability.platforms)


def test_its_state_is_what_its_modules_keep(capability: Capability) -> None:
    files = (paths.ROOT / "plugins" / "module_utils" / capability.id).rglob("*.py")
    texts = [file.read_text(encoding="utf-8") for file in files]
    kept = {name for text in texts for name in _STATE.findall(text)}
    if any("_checkpoint" in text for text in texts):
        kept.add(_checkpoint.DIRECTORY)
    assert kept == set(capability.state)


def test_the_readme_has_each_by_the_name_that_defender_has_for_it(capability: Capability) -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| Linux in ", (paths.ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert (capability.title[0].lower() + capability.title[1:], capability.defender) in rows
    assert len(rows) == len(ALL)
