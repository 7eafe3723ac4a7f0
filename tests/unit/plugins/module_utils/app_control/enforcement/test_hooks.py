# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades that depend on something that a host lacks are named; apt and dpkg have our hook."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import hooks

PLUGIN = "usr/lib64/rpm-plugins/fapolicyd.so"


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (["var/lib/dpkg/status"], ""),
        (["var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite"], ""),
        (["var/lib/rpm/rpmdb.sqlite", PLUGIN], ""),
        (["usr/lib/sysimage/rpm/rpmdb.sqlite"], "rpm-plugin-fapolicyd is not installed"),
        ([], "no package manager"),
    ],
)
def test_what_upgrades_need(tmp_path: pathlib.Path, files: list[str], word: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    warnings = hooks.warnings(str(tmp_path))
    assert len(warnings) == bool(word)
    assert all(word in each for each in warnings)
