# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What versions of fapolicyd can do, by its change log."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import versions


def test_the_tested_version_lacks_what_was_found() -> None:
    features = versions.features(versions.TESTED + "-1")
    assert features is not None
    assert features.spaces_in_trust
    assert features.reload_rules
    assert not any((features.transactional_reload, features.fast_trust, features.watches_run))
    assert len(features.lacking) == 1


@pytest.mark.parametrize("version", ["1.0.4", "0.9", "", "git"])
def test_versions_without_a_directory_of_rules_are_none(version: str) -> None:
    assert versions.features(version) is None


@pytest.mark.parametrize(
    ("version", "spaces", "fast", "run", "transactional"),
    [
        ("1.1", False, False, False, False),
        ("1.2", False, False, False, False),
        ("1.3", True, False, False, False),
        ("1.3.7", True, True, False, False),
        ("1.4", True, True, True, False),
        ("1.4.6-1.el10", True, True, True, True),
    ],
)
def test_other_versions_are_known_by_their_documents(
    version: str, spaces: bool, fast: bool, run: bool, transactional: bool
) -> None:
    features = versions.features(version)
    assert features is not None
    assert (features.spaces_in_trust, features.fast_trust) == (spaces, fast)
    assert (features.watches_run, features.transactional_reload) == (run, transactional)
    assert any("known by its documentation only" in sentence for sentence in features.lacking)
