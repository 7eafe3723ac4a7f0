# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exclusions that hide too much are told from those that an application needs."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.edr import exclusions
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Exclusion


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("path", "/"),
        ("path", "//"),
        ("path", "/*"),
        ("path", "/usr/bin/"),
        ("path", "/usr/bin/*"),
        ("path", "/var/lib"),
        ("path", "/tmp"),
        ("path", "/tmp/build/cache"),
        ("path", "/var/tmp/*.log"),
        ("path", "/dev/shm/"),
        ("path", "/usr/../tmp/x"),
        ("path", "/home/*/build/"),
        ("path", "/*/upload/"),
        ("extension", ".so"),
        ("extension", "*"),
        ("extension", "SH"),
        ("process", "bash"),
        ("process", "/usr/bin/python3.11"),
        ("process", "*"),
    ],
)
def test_broad(kind: str, value: str) -> None:
    assert len(exclusions.broad([Exclusion(kind, value)], ())) == 1
    assert exclusions.broad([Exclusion(kind, value)], (value,)) == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("path", "/var/lib/postgresql"),
        ("path", "/var/lib/docker/"),
        ("path", "/var/log/*.log"),
        ("path", "/opt/shop/cache/*"),
        ("path", "/usr/bin/backup-agent"),
        ("path", "/tmpfiles/x"),
        ("extension", ".log"),
        ("extension", "mdf"),
        ("process", "/usr/sbin/mysqld"),
        ("process", "shellcheck"),
        ("hash", "00ff"),
    ],
)
def test_not_broad(kind: str, value: str) -> None:
    assert exclusions.broad([Exclusion(kind, value)], ()) == []
