# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A platform that a capability does not know is said so, whenever it becomes known."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import platforms


@pytest.mark.parametrize(
    ("shell", "variables", "system"),
    [
        (types.SimpleNamespace(_IS_WINDOWS=True), {}, "Win32NT"),
        (types.SimpleNamespace(), {}, None),
        (types.SimpleNamespace(), {"ansible_facts": {"system": "Linux"}}, "Linux"),
        (None, {"ansible_system": "FreeBSD"}, "FreeBSD"),
        (None, {"ansible_facts": {"system": ["Linux"]}}, None),
    ],
)
def test_the_system_is_known_from_the_connection_or_from_facts(
    shell: t.Any, variables: dict[str, t.Any], system: str | None
) -> None:
    assert platforms.known(shell, {"inventory_hostname": "web1", **variables}) == system


@pytest.mark.parametrize(
    ("system", "is_unknown"), [(None, False), ("Linux", False), ("Win32NT", True), ("SunOS", True)]
)
def test_a_capability_knows_its_platforms(system: str | None, is_unknown: bool) -> None:
    reason = platforms.unknown_to(capabilities.load()["memory_scan"], system)
    assert (reason is not None) is is_unknown
    if is_unknown:
        name = "Windows" if system == "Win32NT" else "the platform SunOS"
        assert reason == f"Not available on {name}."
