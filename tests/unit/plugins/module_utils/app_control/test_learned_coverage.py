# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage without an allowlist says what was not learned, and costs no score."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils._finding import CHECKED, NOT_CHECKED, ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.look import learned_coverage


def test_what_was_not_learned_is_a_note() -> None:
    scope = ScopeCoverage("programs")
    scope.note = "No allowlist is for this host."
    for number in range(7):
        scope.skip(f"log {number}", "cannot be read")
    entry = learned_coverage(scope.entry())
    assert (entry["status"], entry["skipped"], entry["skipped_count"]) == (CHECKED, [], 0)
    assert entry["note"] == (
        "No allowlist is for this host. Not learned from: log 0 (cannot be read); log 1 (cannot be read); log 2"
        " (cannot be read); log 3 (cannot be read); log 4 (cannot be read); 2 more."
    )


def test_what_was_learned_and_what_failed_stays_as_it_is() -> None:
    complete, failed = ScopeCoverage("programs"), ScopeCoverage("programs")
    failed.fail("it could not be looked at")
    for scope in (complete, failed):
        assert learned_coverage(scope.entry()) == scope.entry()
    assert failed.entry()["status"] == NOT_CHECKED
