# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to run code, each done for real under a real audit daemon: what reports them is what the page says."""

from __future__ import annotations

import typing as t

import pytest

from tests.fleet.fleet import Fleet
from tests.integration.app_control._ways.measure import Measured, measure
from tests.integration.app_control._ways.table import WAYS
from tests.integration.app_control._ways.way import Way

_PROGRAMS = "auditd busybox cron dpkg-deb ex gcc gdb git java javac jar make node npx perl ruby unshare"

pytestmark = [
    pytest.mark.requires("root", "machine:x86_64", "fleet", *(f"command:{name}" for name in _PROGRAMS.split())),
    pytest.mark.long,
    pytest.mark.xdist_group("audit"),
]


@pytest.fixture(scope="module")
def measured(_fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Measured]:
    try:
        yield measure(_fleet, tmp_path_factory.mktemp("ways"))
    finally:
        _fleet.stop()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_what_reports_a_way_to_run_code_is_what_the_page_says(way: Way, measured: Measured) -> None:
    assert (measured.control[way.name], measured.others[way.name]) == (way.control, way.others)


def test_every_finding_about_a_script_belongs_to_a_way(measured: Measured) -> None:
    assert measured.unknown == []
