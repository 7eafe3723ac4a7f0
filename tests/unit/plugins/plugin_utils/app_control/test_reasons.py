# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons read as people write them."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.reasons import summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.table import Entry, Key
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.uses import Use


@pytest.mark.parametrize(
    ("hosts", "of", "harm", "words"),
    [
        (1, 1, "", "the only host runs it"),
        (2, 2, "", "both hosts run it"),
        (3, 3, "", "all 3 hosts run it"),
        (1, 3, "", "1 of 3 hosts runs it"),
        (2, 3, "it is a shell", "2 of 3 hosts run it; beware: it is a shell"),
    ],
)
def test_a_summary_counts_hosts(hosts: int, of: int, harm: str, words: str) -> None:
    assert (
        summary(Use(0, Entry(Key("package", "nginx", "dpkg")), 0, b"", list(range(hosts)), of, [], []), harm) == words
    )
