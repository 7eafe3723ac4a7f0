# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``make bench NAME=store`` shows of 10,000 hosts, with few."""

from __future__ import annotations

import pytest

from tests.bench import store

pytestmark = [pytest.mark.requires("postgresql", "module:psycopg"), pytest.mark.xdist_group("postgresql")]


def test_ten_times_the_hosts_cost_ten_times_as_much_at_most() -> None:
    figures = store.measure((60, 600), 5, seed=60)
    assert {name: exponent for name, exponent in figures["exponents"].items() if exponent > 1.1} == {}
    assert figures["ratio"] < 1
