# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to run code on a whole host with an enforced allowlist: whose code runs is what the page says."""

from __future__ import annotations

import pytest

from tests.integration.app_control._ways import enforced
from tests.integration.app_control._ways.enforced import Tried
from tests.integration.app_control._ways.table import WAYS
from tests.integration.app_control._ways.way import Way
from tests.support import enforcing_host

_TRIED = [way for way in WAYS if way.blocked is not None]

pytestmark = [
    pytest.mark.requires(*enforcing_host.NEEDS, "machine:x86_64", "command:npx"),
    pytest.mark.long,
    pytest.mark.xdist_group("enforced-ways"),
]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    return enforced.tried(tmp_path_factory.mktemp("without"), enforcing=False)


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    return enforced.tried(tmp_path_factory.mktemp("enforcing"), enforcing=True)


def test_without_enforcement_each_code_leaves_its_proof(without: Tried) -> None:
    assert without.ran == {way.name: True for way in _TRIED}
    assert without.names.split() == ["runs"] * 9


@pytest.mark.parametrize("way", _TRIED, ids=lambda way: way.name)
def test_what_is_blocked_is_what_the_page_says(way: Way, enforcing: Tried) -> None:
    assert enforcing.ran[way.name] != way.blocked


def test_a_trusted_program_is_refused_after_it_ran_under_another_name(enforcing: Tried) -> None:
    results = enforcing.names.split()
    hard_link, bind_mount, mounted_later = results[:3], results[3:6], results[6:]
    assert hard_link[:2] == ["refused", "refused"]
    # After the link is removed it runs in most tries, but not in all: the page says so.
    assert hard_link[2] in ("runs", "refused")
    assert bind_mount == ["refused", "refused", "refused"]
    assert mounted_later == ["runs", "runs", "runs"]
    assert enforcing.restarted.split() == ["runs"] * 3
