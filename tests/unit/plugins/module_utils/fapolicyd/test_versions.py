# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of the versions of fapolicyd, by its change log."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import versions


def test_the_tested_version_lacks_nothing_but_speed() -> None:
    assert versions.features(versions.TESTED + "-1") == versions.Features(True, True, False)


@pytest.mark.parametrize("version", ["1.0.4", "0.9", "", "git"])
def test_versions_without_a_directory_of_rules_are_none(version: str) -> None:
    assert versions.features(version) is None


@pytest.mark.parametrize(
    ("version", "spaces", "marks", "fast", "lacking"),
    [
        ("1.1", False, False, False, 4),
        ("1.2", False, True, False, 3),
        ("1.3", True, True, False, 1),
        ("1.3.7", True, True, True, 1),
        ("1.4.6-1.el10", True, True, True, 1),
        ("2.0", True, True, True, 1),
    ],
)
def test_other_versions_are_known_by_their_documents(
    version: str, spaces: bool, marks: bool, fast: bool, lacking: int
) -> None:
    features = versions.features(version)
    assert features is not None
    assert features[:3] == (spaces, marks, fast)
    assert len(features.lacking) == lacking
    assert "documentation only" in features.lacking[-1] or version == "2.0"
